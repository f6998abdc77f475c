# make alone is what must pass before a commit.

FUZZTIME ?= 5s
SYSTEMS  ?= darwin dragonfly freebsd netbsd openbsd

# The packages that servers are made of, which run on SYSTEMS too.
ENGINE = ./cmd/... ./engine/... ./frame/... ./handler/...

.PHONY: all bench build cover cross fmt fuzz help lint sanitize test vet

all: fmt vet lint test

help:
	@echo 'make           fmt, vet, lint and test'
	@echo 'make build     bin/weir'
	@echo 'make test      all tests, with the race detector'
	@echo 'make sanitize  tests with use after return to a pool made fatal'
	@echo 'make fuzz      each fuzz target for FUZZTIME ($(FUZZTIME))'
	@echo 'make fmt       check the formatting'
	@echo 'make vet       go vet'
	@echo 'make lint      staticcheck'
	@echo 'make cross     build and vet for $(SYSTEMS)'
	@echo 'make cover     test coverage'
	@echo 'make bench     benchmarks, and the servers in bench/peers side by side: an hour; PEERS=--quick: minutes'

build:
	go build -o bin/ ./cmd/weir

test: sanitize
	go test -race ./...
	cd bench/peers && go test ./...

sanitize:
	go test -tags pool_sanitize ./engine/... ./frame/...

fuzz:
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

fmt:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w these: $$unformatted"; exit 1; }

vet:
	go vet ./...
	cd bench/peers && go vet ./...

lint:
	go tool staticcheck ./...
	staticcheck=$$(go tool -n staticcheck) && cd bench/peers && $$staticcheck ./...

cross:
	@set -e; for system in $(SYSTEMS); do \
		echo $$system; \
		GOOS=$$system CGO_ENABLED=0 go build $(ENGINE); \
		GOOS=$$system CGO_ENABLED=0 go vet $(ENGINE); \
	done

cover:
	go test -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -n 1

bench:
	go test -run '^$$' -bench . -benchmem ./...
	mkdir -p bin
	cd bench/peers && go run ./run $(PEERS) --json ../../bin/peers.json --markdown ../../bin/peers.md --svg ../../bin/peers.svg
