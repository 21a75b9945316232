package rpc

import (
	"testing"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// A state that the contract does not know would be told as STATE_UNSPECIFIED.
func TestEveryStateOfATenantHasItsName(t *testing.T) {
	for _, state := range tenant.States() {
		if got := toTenant(tenant.Tenant{State: state}).GetState(); got.String() != string(state) {
			t.Errorf("a tenant that is %s is told to be %s", state, got)
		}
	}
	if told := len(adminv1.Tenant_State_name) - 1; told != len(tenant.States()) { // but the unspecified one
		t.Errorf("the contract has %d states, the package %d", told, len(tenant.States()))
	}
}
