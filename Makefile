# make demo and make test do all of their own set-up on Debian 12 with Go and
# root: the packages that they need are installed when they are missing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

GO       ?= go
FUZZTIME ?= 1m
RUN      ?= .
# V=1 prints every test's name as it runs.
V        ?=
VERBOSE  := $(if $(V),-v)

# Tools are built from source at these versions and kept outside the clone.
STATICCHECK_VERSION := v0.8.2
CACHE       := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tcpcni/tools
STATICCHECK := $(CACHE)/staticcheck-$(STATICCHECK_VERSION)-$(shell $(GO) env GOVERSION)/staticcheck

# Peers of the benchmark, in a module of their own, by the version that its
# go.mod names.
PEERS       := test/bench/peers
GVISOR      := $(shell sed -n 's/^.*gvisor.dev\/gvisor v/v/p' $(PEERS)/go.mod)
RUNSC       := $(CACHE)/runsc-$(GVISOR)-$(shell $(GO) env GOVERSION)/runsc

# The binaries are static: they are copied to machines with another libc.
STATIC := CGO_ENABLED=0 $(GO) build -trimpath

IMAGE_BINARIES := $(addprefix bin/,tcpcni tcpcni-agent tcpcni-nri host-local static portmap)

# Packages without goroutines, and with nothing of the machine in them.
PURE := ./netstack/... ./sockopt/...
# What the race detector watches: everything that runs more than one goroutine.
RACE := ./engine/... ./hostlink/... ./plugin/... ./cmd/...

.PHONY: build image deps deps-e2e demo test unit race e2e interop e2e-kind e2e-vm lint bench bench-peers bench-held bench-paths bench-core bench-tools sim fuzz mutate clean

build:
	@mkdir -p bin
	$(STATIC) -o bin/tcpcni ./cmd/tcpcni
	$(STATIC) -o bin/tcpcni-nri ./cmd/tcpcni-nri
	$(STATIC) -o bin/host-local github.com/containernetworking/plugins/plugins/ipam/host-local
	$(STATIC) -o bin/static github.com/containernetworking/plugins/plugins/ipam/static
	$(STATIC) -o bin/portmap github.com/containernetworking/plugins/plugins/meta/portmap
	$(STATIC) -o bin/tcpcni-agent ./cmd/tcpcni-agent

# The container image for deploy/, as an archive: no registry is involved.
image: build
	$(GO) run ./deploy/image -o bin/tcpcni-image.tar $(IMAGE_BINARIES)

deps:
	@sh test/setup/debian.sh

# Container managers, for the end-to-end tests alone.
deps-e2e: deps
	@sh test/setup/debian.sh docker.io podman containernetworking-plugins

demo: deps build
	@sh test/demo/demo.sh

test: deps-e2e build
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory race
	@$(MAKE) --no-print-directory e2e
	@echo "PASS: unit tests, race detector, end-to-end tests"

# Without cgo, as the binaries are: dropping privileges works only so.
unit:
	CGO_ENABLED=0 $(GO) test $(VERBOSE) -run '$(RUN)' $$($(GO) list ./... | grep -v -e /test/e2e -e /test/interop)

# -count=1 because these tests look at the machine, which go test cannot see.
race:
	CGO_ENABLED=1 $(GO) test -race -count=1 -run '$(RUN)' $(RACE)

# One test at a time: each has the processors to itself. The time-out only
# ends a hang.
e2e: deps-e2e build
	$(GO) test $(VERBOSE) -count=1 -timeout 30m -run '$(RUN)' ./test/e2e/
	$(GO) test $(VERBOSE) -count=1 -run '$(RUN)' ./test/interop/

# Our TCP and the kernel's, the whole matrix of what can be negotiated.
interop:
	$(GO) test -v -count=1 -timeout 60m -run 'TestInterop$$' ./test/interop -all

# A Kubernetes cluster of two nodes, see docs/testing.md. The supervisor is not
# started by go run: it has to get this make's signals.
e2e-kind: image
	@sh test/setup/debian.sh docker.io busybox-static libseccomp-dev pkg-config
	$(GO) build -o bin/e2e-kind ./test/e2e/kind
	RUN='$(RUN)' bin/e2e-kind run

# Debian's kernel in a virtual machine, see docs/testing.md. As with the above,
# the program has to get this make's signals.
e2e-vm: build
	@sh test/setup/debian.sh qemu-system-x86 kmod podman containernetworking-plugins
	CGO_ENABLED=0 $(GO) build -o bin/e2e-vm ./test/e2e/vm
	RUN='$(RUN)' bin/e2e-vm run

lint: $(STATICCHECK)
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GO) run ./test/layers
	@echo "PASS: lint"

$(STATICCHECK):
	@mkdir -p $(@D)
	GOFLAGS= GOBIN=$(@D) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

# Ours against the kernel, see docs/performance.md. BENCH="-tests rr,up-1" or
# "-all" for less or more. On a busy machine PRIORITY="chrt -r 5" keeps the rest
# from deciding the numbers, and changes them: see there.
BENCH    ?=
PRIORITY ?=
bench: deps build bench-tools
	$(PRIORITY) bin/bench/bench $(BENCH)

# The same with what people would use instead, ten minutes.
bench-peers: deps build bench-tools $(RUNSC)
	@sh test/setup/debian.sh slirp4netns passt
	cd $(PEERS) && $(STATIC) -o $(CURDIR)/bin/bench/library ./library
	$(PRIORITY) bin/bench/bench -peers -rounds 3 -runsc $(RUNSC) $(BENCH)

# 100,000 connections in one sandbox, in a virtual machine where root may raise
# every limit: five minutes emulated, HELD="-many 20000" for less. The numbers go to
# bin/held/held.json; bin/bench/bench -from takes them along. By slab_nomerge the
# kernel's memory has the names of what it is for.
HELD ?=
bench-held: deps build bench-tools
	@sh test/setup/debian.sh qemu-system-x86 kmod
	CGO_ENABLED=0 $(GO) build -o bin/e2e-vm ./test/e2e/vm
	@mkdir -p bin/held
	bin/e2e-vm run -memory 6144 -write bin/held -append slab_nomerge \
		bin/bench/bench -sides sandbox -tests memory-100k -rounds 1 -json bin/held/held.json $(HELD)

# Congestion control over emulated paths, ours and the kernel's, into docs/.
bench-paths: deps
	$(GO) run ./test/interop -table -jobs 18

bench-tools:
	@mkdir -p bin/bench
	$(STATIC) -o bin/bench/bench ./test/bench
	$(STATIC) -o bin/bench/bridge github.com/containernetworking/plugins/plugins/main/bridge

$(RUNSC):
	@mkdir -p $(@D)
	cd $(PEERS) && $(STATIC) -o $@ gvisor.dev/gvisor/runsc

# Time and allocations of the pure core.
bench-core:
	$(GO) test -run '^$$' -bench . -benchmem $(PURE)

# Worlds of TCP by seed, see docs/testing.md; make unit runs the first thousand.
SEEDS ?= 10000
sim:
	$(GO) test -count=1 -timeout 10m -run 'TestWorlds$$' ./netstack/sim -seeds $(SEEDS)

# Which rules of TCP no test would miss, see docs/mutation.md. MUTATE="-files
# rst.go" or "-for 20m" for less: all of it takes hours.
MUTATE ?= -for 30m
mutate:
	$(GO) run ./test/mutate -j 2 $(MUTATE)

# Every fuzz target in turn; what it finds stays in the package's testdata.
fuzz:
	@for pkg in $$($(GO) list ./... | grep -v /test/); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; \
	done

clean:
	rm -rf bin
