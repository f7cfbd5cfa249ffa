# Everything here needs Go, make, git and gcc (for the race detector), and a Go module proxy. `make help` lists the targets.

MODULE  := github.com/flexops-dev/inactivity-operator
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
IMG     ?= ghcr.io/flexops-dev/inactivity-operator:$(VERSION)
KUBECTL ?= kubectl
DOCKER  ?= docker

BIN   := $(CURDIR)/bin
TOOLS := $(BIN)/tools
SHELL := /bin/sh

CONTROLLER_GEN := $(TOOLS)/controller-gen
GOLANGCI_LINT  := $(TOOLS)/golangci-lint

# Coverage is counted over these, whichever package's test runs the code.
COVERED := ./api/...,./controllers/...,./internal/...

# One way of building for every program, and the control plane's too: with other flags, everything is compiled once more.
BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X $(MODULE)/internal/version.version=$(VERSION)'

.DEFAULT_GOAL := help

##@ General

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "; printf "Usage: make TARGET [VARIABLE=value]\n"} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-zA-Z0-9_-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: build ## See it work: an idle conversation ended on this machine, in a minute and a half (KEEP=1: leave it running).
	@$(BUILD) -o $(BIN)/demo ./hack/demo
	@KUBEBUILDER_ASSETS="$$(go run -C hack/controlplane .)" && export KUBEBUILDER_ASSETS && \
		KEEP="$(KEEP)" exec $(BIN)/demo

.PHONY: run-simulator
run-simulator: ## Run the Twilio simulator alone, on 127.0.0.1:8090 (ARGS: its flags).
	@$(BUILD) -o $(BIN)/twilio-simulator ./cmd/twilio-simulator
	@exec $(BIN)/twilio-simulator $(ARGS)

##@ Development

.PHONY: build
build: ## Build bin/manager and bin/twilio-simulator.
	$(BUILD) -o $(BIN)/manager ./cmd
	$(BUILD) -o $(BIN)/twilio-simulator ./cmd/twilio-simulator

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Generate deepcopy code, the CRD, the RBAC role and the API reference.
	$(CONTROLLER_GEN) object paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=manager-role paths=./controllers/... output:rbac:artifacts:config=config/rbac
	go run ./hack/apidocs

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code and sort its imports.
	$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters over every Go module with code.
	$(GOLANGCI_LINT) run ./...
	cd hack/controlplane && $(GOLANGCI_LINT) run --config ../../.golangci.yml ./...

.PHONY: test
test: ## Run the tests on a real API server with the race detector (PKG, ARGS: go test's), and print the coverage.
	@KUBEBUILDER_ASSETS="$$(go run -C hack/controlplane .)" && export KUBEBUILDER_ASSETS && \
		go test -race -timeout=30m -parallel 6 -covermode=atomic -coverpkg=$(COVERED) -coverprofile=cover.tmp $(ARGS) $(or $(PKG),./...)
	@go test -C hack/controlplane -race $(ARGS) ./...
	@grep -v '/zz_generated\.' cover.tmp >cover.out && rm -f cover.tmp
	@go tool cover -func=cover.out | awk 'END {print "coverage of api, controllers and internal: " $$NF}'

SEEDS ?= 100
HOURS ?= 24
FIRST ?= 1

# whole ends a target when one of the variables is not a whole number.
whole = for given in $(foreach name,$(1),$(name)=$($(name))); do case $${given\#*=} in \
	''|*[!0-9]*) echo "$$given: say a whole number, as in $${given%%=*}=24" >&2; exit 2;; \
	esac; done

.PHONY: simulate
simulate: ## Run the operator in a simulated contact centre under every fault (SEEDS, HOURS of each, FIRST seed, ARGS).
	@$(call whole,SEEDS HOURS FIRST)
	@failed=0; \
	for test in "TestSimulation $(SEEDS)" "TestCallbackLifeCycle $$((($(SEEDS) + 9) / 10))"; do set -- $$test; \
		go test -C test/simulation -count=1 -timeout=24h -run "$$1\$$" -seeds=$$2 -hours=$(HOURS) -first=$(FIRST) $(ARGS) || failed=1; \
	done; exit $$failed

.PHONY: simulate-mutants
simulate-mutants: ## Break the operator in one way after the other, and see the simulation notice (ONLY: those that match).
	go run ./hack/mutants $(if $(ONLY),-only '$(ONLY)')

SEED ?= 0
CONVERSATIONS ?= 300

.PHONY: chaos
chaos: build ## Kill, stop and cut off real processes of the operator, under load, in six minutes (SEED, CONVERSATIONS, ARGS).
	@$(call whole,SEED CONVERSATIONS)
	@KUBEBUILDER_ASSETS="$$(go run -C hack/controlplane .)" && export KUBEBUILDER_ASSETS && \
		go test -tags=chaos -count=1 -timeout=20m -v ./test/chaos $(ARGS) -seed=$(SEED) -conversations=$(CONVERSATIONS)

.PHONY: cover
cover: cover.out ## Show the last test run's coverage, function by function, and write cover.html.
	@go tool cover -func=cover.out
	@go tool cover -html=cover.out -o cover.html

cover.out:
	@$(MAKE) --no-print-directory test

.PHONY: verify
verify: $(GOLANGCI_LINT) $(CONTROLLER_GEN) ## Check formatting, vet, linters, generated files and go.mod files; changes nothing.
	@hack/verify.sh "$(CONTROLLER_GEN)" "$(GOLANGCI_LINT)"

.PHONY: clean
clean: ## Remove what the other targets built (not the cached control plane).
	rm -rf $(BIN) cover.out cover.tmp cover.html

##@ Cluster

.PHONY: install
install: ## Install the CRD into the cluster that kubectl points at.
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: uninstall
uninstall: ## Remove the CRD, and with it every policy (each puts its workspace's callback back first).
	$(KUBECTL) delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: ## Install the operator: make deploy PUBLIC_URL=https://… [IMG=…]
	@hack/overlay.sh "$(BIN)/deploy" "$(PUBLIC_URL)" "$(IMG)"
	$(KUBECTL) apply --server-side -k $(BIN)/deploy

.PHONY: docker-build
docker-build: ## Build the container image IMG (needs docker).
	$(DOCKER) build --build-arg VERSION=$(VERSION) -t $(IMG) .

# The tools' versions are pinned in hack/tools/go.mod; a change of it rebuilds them.
$(CONTROLLER_GEN): hack/tools/go.mod hack/tools/go.sum
	@mkdir -p $(TOOLS)
	go build -C hack/tools -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(GOLANGCI_LINT): hack/tools/go.mod hack/tools/go.sum
	@mkdir -p $(TOOLS)
	@echo "building golangci-lint (two minutes, once)"
	go build -C hack/tools -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
