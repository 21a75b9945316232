// Command finish turns the OpenAPI descriptions that protoc-gen-connect-openapi
// writes into those we serve: what JSON readers see and the plugin cannot know
// (which members are always there, errors, headers, keys), names without
// packages, and texts without the traces of comments. Run by proto/generate.sh.
package main

import (
	"bytes"
	"embed"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

//go:embed base.yaml
var base []byte

// Requests and answers shown in the reference: a file for each service, by its .proto file.
//
//go:embed examples
var examples embed.FS

//go:embed routes.yaml
var routes []byte

// plane is one description.
type plane struct {
	file        string
	title       string
	description string
	services    []protoreflect.ServiceDescriptor // in the order of the reference
}

func planes() []plane {
	in := func(file protoreflect.FileDescriptor) protoreflect.ServiceDescriptor { return file.Services().Get(0) }
	return []plane{
		{
			file:  "auth.yaml",
			title: "Biocore authentication API",
			description: "Enroll and sign in the users of a tenant with passkeys, and keep their users, credentials and sessions. " +
				"The same methods are served by Connect and gRPC as `biocore.auth.v1`.",
			services: []protoreflect.ServiceDescriptor{
				in(authv1.File_biocore_auth_v1_registration_proto),
				in(authv1.File_biocore_auth_v1_authentication_proto),
				in(authv1.File_biocore_auth_v1_user_proto),
				in(authv1.File_biocore_auth_v1_credential_proto),
				in(authv1.File_biocore_auth_v1_recovery_proto),
				in(authv1.File_biocore_auth_v1_session_proto),
				in(authv1.File_biocore_auth_v1_risk_proto),
			},
		},
		{
			file:  "admin.yaml",
			title: "Biocore administration API",
			description: "Keep the tenants of an installation, their settings and policies, the evidence of registrations, the keys that programs call with and those that sign tokens. " +
				"The same methods are served by Connect and gRPC as `biocore.admin.v1`.",
			services: []protoreflect.ServiceDescriptor{
				in(adminv1.File_biocore_admin_v1_tenant_proto),
				in(adminv1.File_biocore_admin_v1_export_proto),
				in(adminv1.File_biocore_admin_v1_usage_proto),
				in(adminv1.File_biocore_admin_v1_settings_proto),
				in(adminv1.File_biocore_admin_v1_policy_proto),
				in(adminv1.File_biocore_admin_v1_risk_proto),
				in(adminv1.File_biocore_admin_v1_recovery_proto),
				in(adminv1.File_biocore_admin_v1_evidence_proto),
				in(adminv1.File_biocore_admin_v1_authenticator_proto),
				in(adminv1.File_biocore_admin_v1_attestation_root_proto),
				in(adminv1.File_biocore_admin_v1_member_proto),
				in(adminv1.File_biocore_admin_v1_api_key_proto),
				in(adminv1.File_biocore_admin_v1_signing_key_proto),
				in(adminv1.File_biocore_admin_v1_import_proto),
				in(adminv1.File_biocore_admin_v1_relying_party_proto),
				in(adminv1.File_biocore_admin_v1_stats_proto),
				in(adminv1.File_biocore_admin_v1_dashboard_proto),
				in(adminv1.File_biocore_admin_v1_flag_proto),
				in(adminv1.File_biocore_admin_v1_segment_proto),
				in(adminv1.File_biocore_admin_v1_support_proto),
				in(adminv1.File_biocore_admin_v1_ceremony_proto),
				in(adminv1.File_biocore_admin_v1_audit_proto),
				in(adminv1.File_biocore_admin_v1_log_stream_proto),
				in(adminv1.File_biocore_admin_v1_report_proto),
				in(adminv1.File_biocore_admin_v1_data_map_proto),
				in(adminv1.File_biocore_admin_v1_erasure_proto),
				in(adminv1.File_biocore_admin_v1_dlp_proto),
				in(adminv1.File_biocore_admin_v1_system_proto),
			},
		},
	}
}

const header = "# Made by proto/generate.sh from the .proto files. DO NOT EDIT.\n"

func main() {
	in := flag.String("in", "", "folder of the plugin's descriptions")
	out := flag.String("out", "", "folder to write to")
	flag.Parse()
	for _, p := range planes() {
		if err := run(p, *in, *out); err != nil {
			fmt.Fprintln(os.Stderr, "finish:", err)
			os.Exit(1) //nolint:forbidigo // this is a main
		}
	}
}

func run(p plane, in, out string) error {
	raw, err := os.ReadFile(filepath.Join(in, p.file))
	if err != nil {
		return err
	}
	doc, err := finish(p, raw)
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	var buf bytes.Buffer
	buf.WriteString(header)
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, p.file), buf.Bytes(), 0o644) //nolint:gosec // committed and served
}
