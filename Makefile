# What people type. `make` builds ./eligen.

# The Go backend's vector instructions exist for amd64 only.
ifeq ($(shell go env GOARCH),amd64)
export GOEXPERIMENT ?= simd
endif

GOLANGCI_LINT_VERSION = v2.15.0

.PHONY: build test lint bench golden gallery cuda gpu-kit

build:
	go build -o eligen ./cmd/eligen

test:
	go test -timeout 30m ./...

lint:
	@command -v golangci-lint >/dev/null || { echo "golangci-lint is missing; get it with"; echo "  go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)"; exit 1; }
	golangci-lint run

bench:
	go run ./bench

# All graphs for all described cards; docs/cuda.md says which variables name the plugins.
cuda:
	ELIGEN_CUDA_ALL=1 go test ./bench/cuda -timeout 60m -v -run TestCUDA

# What measures a card on a machine that has one, in one file; docs/cuda.md says how.
gpu-kit:
	bench/gpu/pack.sh eligen-gpu-kit.tar.gz

# The diff is the review.
golden:
	go test ./dsl ./planner ./tui ./cmd/eligen -update

# The pictures of docs/gallery.md. (3 is a check that does not hold.)
GALLERY = rain twins starry harbor seven village garland flock rainbow visitors again styled transfer drive bounce moonrise growth sunrise
gallery: build
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; mkdir -p docs/gallery; \
	for scene in $(GALLERY); do ./eligen apply --out "$$work" scenes/$$scene.hcl >/dev/null || [ $$? -eq 3 ]; done; \
	for f in "$$work"/out/*.png "$$work"/out/*.gif; do \
		if grep -q "gallery/$$(basename "$$f")" docs/gallery.md; then cp "$$f" docs/gallery/; fi; \
	done
