# `make dev` and `make test` are all a newcomer needs; the rest is listed by `make help`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Go and npm keep their caches under HOME, which a bare account may lack.
ifeq ($(strip $(HOME)),)
export HOME := $(shell dir="$${TMPDIR:-/tmp}/biocore-home-$$(id -u)"; mkdir -p -m 700 "$$dir"; echo "$$dir")
endif

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# A tool is built from source at the version its own modfile pins, and cached by Go.
tool = go tool -modfile=.ci/tools/$(1)/go.mod $(1)

##@ Every day

# The server takes the place of the shell, not of a child of `go run`: that one calls Ctrl-C a failure, and does not
# pass SIGTERM on.
.PHONY: dev
dev: ## Start everything: Postgres, Redis, the API, the demo (ARGS="--reset" and more)
	@echo "Building (minutes the first time, seconds later)"
	@go build -buildvcs=false -o bin/biocore-dev github.com/biocore-id/biocore/cmd/biocore
	@exec bin/biocore-dev dev $(ARGS)

.PHONY: test
test: ## Every test, on real Postgres, Redis and Chromium (installs them where it may)
	@.ci/setup
	@.ci/test

.PHONY: build
build: ## The release binary, bin/biocore: static, without cgo
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/biocore ./cmd/biocore

.PHONY: build-pkcs11
build-pkcs11: ## The same with PKCS#11 for HSMs, bin/biocore-pkcs11: with cgo, for this system's C library
	CGO_ENABLED=1 go build -tags pkcs11 -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/biocore-pkcs11 ./cmd/biocore

##@ Before a commit

.PHONY: lint
lint: ## gofmt, golangci-lint, shell syntax
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); \
	if [ -n "$$unformatted" ]; then printf 'gofmt would change:\n%s\n' "$$unformatted"; exit 1; fi
	@for script in .ci/setup .ci/test .ci/generated .ci/run; do bash -n "$$script"; done
	$(call tool,golangci-lint) run ./... ./.ci/isolation ./.ci/testreport
	$(call tool,golangci-lint) run --build-tags pkcs11 ./tenancy/keys/kms

# What is generated, from what, into what. Rooms with generators of their own add them to GENERATED.
GENERATED += sqlc templ
-include proto/proto.mk sdk/js/sdk.mk

sqlc.inputs  := sqlc.yaml db/migrations/*.sql db/queries .ci/tools/sqlc
sqlc.outputs := db/tenantq db/platformq db/auditq
sqlc.command  = $(call tool,sqlc) generate

templ.inputs  := *.templ .ci/tools/templ
templ.outputs := *_templ.go
templ.command  = $(call tool,templ) generate

.PHONY: generate
generate: ## Make generated code anew where its inputs changed (FORCE=1: everywhere)
	@$(foreach name,$(GENERATED),.ci/generated make $(name) "$($(name).inputs)" "$($(name).outputs)" $($(name).command);)

.PHONY: verify
verify: ## Fail if generated code is not what its inputs make (runs generators only where digests differ)
	@$(foreach name,$(GENERATED),.ci/generated verify $(name) "$($(name).inputs)" "$($(name).outputs)" $($(name).command);)

.PHONY: vuln
vuln: ## Known vulnerabilities that our code can reach (asks vuln.go.dev)
	$(call tool,govulncheck) ./...

##@ Now and then

.PHONY: bench
bench: ## Go benchmarks with allocations (BENCH=regexp, BENCHTIME=2s)
	go test -run '^$$' -bench '$(or $(BENCH),.)' -benchtime $(or $(BENCHTIME),1s) -benchmem \
		$$(git grep -l '^func Benchmark' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's|^|./|')

.PHONY: conformance
conformance: ## WebAuthn vectors: the specification's, or those in VECTORS=folder; MDS=file adds a FIDO metadata BLOB
	BIOCORE_VECTORS='$(abspath $(VECTORS))' BIOCORE_MDS='$(abspath $(MDS))' \
		go test -count=1 -v -run '^TestConformance(Metadata)?$$' ./authcore/webauthn

.PHONY: isolation-report
isolation-report: ## What the attacks on the wall between tenants found on this source, bin/isolation.json (KEY=file.pem signs it, RELEASE=tag refuses another source; AGAIN=report.json compares instead)
	@.ci/setup
	go run ./.ci/isolation -out bin $(if $(KEY),-key '$(KEY)') $(if $(RELEASE),-release '$(RELEASE)') $(if $(AGAIN),-again '$(AGAIN)')

.PHONY: shots
shots: ## Pictures of every page of the console, with demo data, into shots/: both themes, 1440 and 390 px (RUN=. adds what the other browser tests see)
	@.ci/setup
	@mkdir -p shots && BIOCORE_SHOTS='$(CURDIR)/shots' go test -count=1 -timeout 60m -run '$(or $(RUN),^TestConsolePages$$)' ./web/browsertest

.PHONY: fuzz
fuzz: ## Every fuzz target in turn (FUZZTIME=30s each)
	@for file in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file"); do \
			echo "==> $$(dirname "$$file") $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(or $(FUZZTIME),30s) "./$$(dirname "$$file")"; \
		done; \
	done

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
