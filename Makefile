SHELL := /bin/bash
.DEFAULT_GOAL := help

LINT_VERSION := v2.15.0
VULN_VERSION := v1.9.0
FUZZTIME     ?= 30s

lint_tool := bin/golangci-lint-$(LINT_VERSION)

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

dev: ## the server and its workers in the foreground, with a Postgres of its own; Ctrl-C ends all
	@mkdir -p bin
	@go build -o bin/relaydesk ./cmd/relaydesk
	@exec bin/relaydesk dev $(ARGS)

demo: ## the whole story against the server that `make dev` runs; ARGS='--url https://… --ask "…"'
	@mkdir -p bin
	@go build -o bin/relaydesk ./cmd/relaydesk
	@exec bin/relaydesk demo $(ARGS)

test: ## all that CI runs: vet and every test with the race detector
	go vet ./...
	go test -race ./...

race: ## the tests with the race detector, uncached; PKG=./internal/ids for one package
	go test -race -count=1 $(or $(PKG),./...)

lint: $(lint_tool) ## the house rules (.golangci.yml)
	$(lint_tool) run $(or $(PKG),./...)

bench: ## speed, as ratios within one run; figures stand in docs/performance.md
	go run ./bench $(ARGS)

eval: ## quality: triggers, retrieval, abstention, leaks; DATA=folder of the evaluation sets
	go run ./bench/eval $(if $(DATA),-data $(DATA)) $(ARGS)

fuzz: ## fuzz every parser, half a minute each; FUZZTIME=5m for longer
	@grep -rho --include='*_test.go' --with-filename '^func Fuzz[A-Za-z0-9]*' . | while IFS=: read -r file fuzz; do \
		go test "$$(dirname "$$file")" -run '^$$' -fuzz "^$${fuzz#func }\$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

generate: ## make the generated files again
	@mkdir -p bin
	go generate ./...
	go run ./cmd/relaydesk openapi >bin/openapi.json && mv bin/openapi.json openapi/openapi.json
	go run ./cmd/relaydesk openapi --3.0 >bin/openapi.json && mv bin/openapi.json openapi/openapi-3.0.json

verify: generate ## fail if a generated file or the formatting is not as committed
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go mod verify
	git diff --exit-code

build: ## compile every package, and the program into bin/
	go build ./...
	@mkdir -p bin
	$(if $(wildcard cmd/relaydesk),go build -o bin/relaydesk ./cmd/relaydesk)

vuln: ## known vulnerabilities in what we import, by Go's public database
	go run golang.org/x/vuln/cmd/govulncheck@$(VULN_VERSION) ./...

clean: ## remove what the build and the tests leave behind; .relaydesk/ with dev's data stays
	rm -rf bin
	go clean -testcache

$(lint_tool):
	@mkdir -p bin
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv bin/golangci-lint $@

.PHONY: help dev demo test race lint bench eval fuzz generate verify build vuln clean
