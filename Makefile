.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
INFO := github.com/runbook-engine/runbook/internal/version
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false \
	-ldflags '-s -w -X $(INFO).version=$(VERSION) -X $(INFO).commit=$(COMMIT)'
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
WORKFLOWCHECK := go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/runbook and bin/orders-demo
	$(BUILD) -o bin/ ./cmd/runbook ./cmd/orders-demo

.PHONY: deps
deps: ## Install what the lab and the tests run and is missing: PostgreSQL, Prometheus, Alertmanager, …
	deploy/deps.sh tests

.PHONY: demo
demo: build ## Play an incident with real parts; ARGS=--keep leaves them up
	deploy/deps.sh lab
	bin/runbook lab demo $(ARGS)

# Tests that play whole drills are held to times, and have the machine to themselves.
.PHONY: test
test: deps ## Run all tests
	go run ./internal/lab/prepare
	go test -timeout 20m -p 2 $$(go list ./... | grep -vE '/internal/(demo|e2e)$$')
	go test -timeout 20m -parallel 3 ./internal/demo ./internal/e2e

.PHONY: lint
lint: ## Check format, modules, and what vet, staticcheck and workflowcheck find
	.ci/gofmt
	go mod tidy -diff
	go vet ./...
	go run $(STATICCHECK) ./...
	go run $(WORKFLOWCHECK) ./workflows/...

.PHONY: race
race: deps ## Run the tests with the race detector, except those on the Temporal server
	deploy/deps.sh cc
	go run ./internal/lab/prepare
	.ci/race

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (20s unless set)
	.ci/fuzz

.PHONY: bench
bench: deps ## Run the benchmarks
	go run ./internal/lab/prepare
	.ci/bench
