#!/usr/bin/env bash
# Makes proto/gen and proto/openapi from the .proto files, all of them anew: checks the files, runs the plugins, then
# finishes the OpenAPI descriptions. `make generate` runs it when something changed; nobody needs it to build.
#
# Every tool is built from source at the version that its modfile under .ci/tools pins. buf takes minutes the first
# time: BUF names a binary of that version to use instead, such as the one that npm's @bufbuild/buf installs.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for module in protoc-gen protoc-gen-connect-openapi; do
  go build -C ".ci/tools/$module" -o "$work/bin/" tool
done
if [ -z "${BUF:-}" ]; then
  go build -C .ci/tools/buf -o "$work/bin/" tool
  BUF=$work/bin/buf
fi
pinned=$(sed -n 's|.*github.com/bufbuild/buf v\([^ ]*\).*|\1|p' .ci/tools/buf/go.mod)
if [ "$("$BUF" --version)" != "$pinned" ]; then
  echo "proto/generate.sh: $BUF is not buf $pinned" >&2
  exit 1
fi
export PATH=$work/bin:$PATH

"$BUF" lint
"$BUF" format --diff --exit-code proto --path proto/biocore

rm -rf proto/gen
"$BUF" generate
"$BUF" generate --template proto/openapi/buf.gen.yaml -o "$work/openapi"
go run ./proto/openapi/finish -in "$work/openapi" -out proto/openapi
