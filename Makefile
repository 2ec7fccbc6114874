SHELL := /bin/bash
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

test: ## all that CI runs: vet and every test with the race detector
	go vet ./...
	go test -race ./...

build: ## compile every package
	go build ./...

fuzz: ## fuzz the identifier and key parsers, half a minute each
	go test ./internal/ids -run '^$$' -fuzz FuzzParse -fuzztime 30s
	go test ./internal/secrets -run '^$$' -fuzz FuzzWellFormed -fuzztime 30s

clean: ## remove what the build and the tests leave behind
	rm -rf bin
	go clean -testcache

.PHONY: help test build fuzz clean
