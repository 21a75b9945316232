# What is generated from the .proto files; included by the Makefile.
GENERATED += proto
proto.inputs  := buf.yaml buf.gen.yaml proto/biocore proto/buf proto/google proto/generate.sh proto/openapi/buf.gen.yaml \
                 proto/openapi/finish .ci/tools/buf .ci/tools/protoc-gen .ci/tools/protoc-gen-connect-openapi
proto.outputs := proto/gen proto/openapi/auth.yaml proto/openapi/admin.yaml
proto.command  = proto/generate.sh
