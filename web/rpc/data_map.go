package rpc

import (
	"context"
	"slices"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/governance"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// DataMapHandler serves DataMapService.
type DataMapHandler struct {
	adminv1connect.UnimplementedDataMapServiceHandler
}

// NewDataMapHandler returns a handler over the data map, which is the same for every tenant.
func NewDataMapHandler() *DataMapHandler { return &DataMapHandler{} }

var (
	dataClasses = map[governance.Class]adminv1.DataField_Class{
		governance.Public: adminv1.DataField_PUBLIC, governance.Internal: adminv1.DataField_INTERNAL, governance.Personal: adminv1.DataField_PERSONAL,
		governance.HighRisk: adminv1.DataField_HIGH_RISK,
	}
	dataStores = map[governance.Store]adminv1.DataField_Store{
		governance.Postgres: adminv1.DataField_POSTGRES, governance.Redis: adminv1.DataField_REDIS, governance.Object: adminv1.DataField_OBJECT,
		governance.Event: adminv1.DataField_EVENT, governance.Audit: adminv1.DataField_AUDIT, governance.Stream: adminv1.DataField_STREAM, governance.Log: adminv1.DataField_LOG,
	}
	dataErasures = map[governance.Erasure]adminv1.DataField_Erasure{
		governance.Deleted: adminv1.DataField_DELETED, governance.Emptied: adminv1.DataField_EMPTIED, governance.Locked: adminv1.DataField_LOCKED,
		governance.Expires: adminv1.DataField_EXPIRES, governance.Kept: adminv1.DataField_KEPT, governance.None: adminv1.DataField_NONE,
	}
)

// GetDataMap translates: one call, one answer.
func (*DataMapHandler) GetDataMap(ctx context.Context, req *adminv1.GetDataMapRequest) (*adminv1.DataMap, error) {
	if _, err := scope.FromContext(ctx); err != nil {
		return nil, err
	}
	fields, err := governance.Fields()
	if err != nil {
		return nil, err
	}
	res := &adminv1.DataMap{}
	for i := range fields {
		f := &fields[i]
		one := &adminv1.DataField{
			Store: dataStores[f.Store], Table: f.Table, Name: f.Name, Class: dataClasses[f.Class], Purpose: f.Purpose, Sealed: f.Sealed, Kept: f.Kept,
			Erased: dataErasures[f.Erased], Because: f.Because,
		}
		if len(req.GetClasses()) > 0 && !slices.Contains(req.GetClasses(), one.GetClass()) || len(req.GetStores()) > 0 && !slices.Contains(req.GetStores(), one.GetStore()) {
			continue
		}
		res.Fields = append(res.Fields, one)
	}
	return res, nil
}
