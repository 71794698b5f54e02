# Everything that is done with this repository. "make help" lists the targets.

GO       ?= go
# Two test binaries at once: the machines that run this have two cores.
TEST_P   ?= 2
FUZZTIME ?= 10s
BENCHTIME ?= 1s
ROUNDS   ?= 3
# Further flags of the benchmark, as -profile DIR.
BENCHARGS ?=
KEEP     ?=
# Of mutations: only those whose heading matches this regular expression.
ONLY     ?=

# What is built runs anywhere: no cgo, no paths of this machine.
export CGO_ENABLED ?= 0
BUILD    = $(GO) build -trimpath -buildvcs=false -ldflags='-s -w'
ADAPTERS = examplecrm pipedrive faulty
LINT     = .tools/bin/golangci-lint

# say prints what is being done.
say = @printf '\033[1m==>\033[0m %s\n' $(1)

.DEFAULT_GOAL := all
.PHONY: all help build demo test lint generate check-generated bench bench-micro fuzz mutations vuln clean

## all: generate, lint, test and build
all: generate lint test build

## help: list the targets
help:
	@echo 'Targets:'
	@sed -n 's/^## \([a-z-]*\): /  \1	/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo 'Variables: FUZZTIME=$(FUZZTIME) BENCHTIME=$(BENCHTIME) ROUNDS=$(ROUNDS) BENCHARGS= TEST_P=$(TEST_P) KEEP=1 (for demo) ONLY=regexp (for mutations)'

## build: build the host, the example CRM, the fake of Pipedrive and the adapter packages into dist/
build:
	$(call say,'1/4 host: dist/bin/patchbay')
	@$(BUILD) -o dist/bin/patchbay ./host/cmd/patchbay
	$(call say,'2/4 CRMs to try them with: dist/bin/examplecrm-server dist/bin/pipedrive-fake')
	@$(BUILD) -o dist/bin/examplecrm-server ./plugins/examplecrm/server/cmd/examplecrm-server
	@$(BUILD) -o dist/bin/pipedrive-fake ./plugins/pipedrive/internal/pipedrivetest/cmd/pipedrive-fake
	$(call say,'3/4 adapters: $(ADAPTERS)')
	@for name in $(ADAPTERS); do $(BUILD) -o dist/tmp/$$name ./plugins/$$name || exit 1; done
	$(call say,'4/4 packages: dist/adapters')
	@for name in $(ADAPTERS); do \
		dist/bin/patchbay adapter pack manifests/$$name.json dist/tmp/$$name >/dev/null || exit 1; \
	done

## demo: show the whole of it with two small CRMs; KEEP=1 leaves it running
demo: build
	@dist/bin/patchbay demo $(if $(KEEP),--keep)

## test: vet, and every test with the race detector and leak checks
test:
	$(call say,'go vet')
	@$(GO) vet ./...
	$(call say,'go test -race')
	@CGO_ENABLED=1 $(GO) test -race -p $(TEST_P) -timeout 8m ./...

## lint: run every linter of .golangci.yml
lint: $(LINT)
	$(call say,'golangci-lint')
	@$(LINT) run ./...

$(LINT): .tools/lint/go.mod .tools/lint/go.sum
	$(call say,'build golangci-lint (once; a minute or two)')
	@cd .tools/lint && $(GO) build -trimpath -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

## generate: make the generated code anew
generate:
	$(call say,'generate')
	@.tools/generate

## check-generated: fail when generated code or go.mod is not up to date
check-generated:
	@.tools/check-generated

## bench: measure a call along four paths beside a bare go-plugin call; one table
bench:
	@CGO_ENABLED=0 $(GO) test -run '^$$' -bench '^BenchmarkTable$$' ./host/cmd/patchbay/internal/bench \
		-args -cell $(BENCHTIME) -rounds $(ROUNDS) $(BENCHARGS)

## bench-micro: run the benchmarks of single packages
bench-micro:
	@CGO_ENABLED=0 $(GO) test -p 1 -run '^$$' -bench . -skip '^BenchmarkTable$$' -benchmem -benchtime $(BENCHTIME) ./...

## fuzz: run every fuzz target for FUZZTIME
fuzz:
	@FUZZTIME=$(FUZZTIME) .tools/fuzz

## mutations: take rules out of a copy of the code, one at a time; each must be missed by its test
mutations:
	@CGO_ENABLED=0 $(GO) run ./host/cmd/patchbay/internal/mutation -p $(TEST_P) -only '$(ONLY)'

## vuln: look for known vulnerabilities (needs the network)
vuln:
	@$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

## clean: remove what was built
clean:
	@rm -rf dist .tools/bin
