# One way to do each thing; CI calls the same targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
STAMP  := $(VENV)/.installed

# Most tests wait more than they compute, but for the unit tests: each further process costs those 5 s of CPU. A file's
# tests stay in one process, which shares their fixtures; the unit tests share little, and are spread one by one.
WORKERS  ?= 4
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# The tests start hundreds of processes: without bytecode, each would compile all of Portico again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run local-model test check-beside test-all test-unit test-contract test-edge test-e2e test-k8s test-containers compose-secrets check fix proto lock bench bench-vector bench-retrieval clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install everything into .venv, with hashes checked

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: $(STAMP) ## Start the services and the edge on this machine (PORTICO_PORT, PORTICO_DATA_DIR)
	@exec $(BIN)/python tools/run_local.py

local-model: $(STAMP) ## Fetch an embedding model that runs without a provider (83 MB) into PORTICO_DATA_DIR/models
	@$(BIN)/python -m tools.local_model $(or $(PORTICO_LOCAL_MODELS),$(or $(PORTICO_DATA_DIR),data)/models)

test: $(STAMP) ## Run the checks and the whole test suite, side by side
	@$(MAKE) --no-print-directory --jobs=2 check-beside test-all

check-beside: # the output of each check as a block between the lines of the tests
	@nice $(MAKE) --output-sync=line check

test-all: $(STAMP)
	$(PYTEST) $(PARALLEL) --durations=40 --durations-min=5

test-unit: WORKERS := 2
test-unit: $(STAMP) ## Run the tests of single modules, in seconds
	$(PYTEST) -n $(WORKERS) --dist worksteal --hypothesis-profile=quick tests/unit

test-contract: $(STAMP) ## Run the tests of services and adapters on real servers and stores
	$(PYTEST) $(PARALLEL) tests/contract

test-edge: $(STAMP) ## Run the tests of the edge, a real Envoy before stub services
	$(PYTEST) $(PARALLEL) tests/edge

test-e2e: $(STAMP) ## Run the tests of everything together, with the official clients (STORES=mongodb: on MongoDB and Redis)
	STORES=$(STORES) $(PYTEST) $(PARALLEL) tests/e2e

test-containers: $(STAMP) ## Build the images, start docker-compose.yml, kill each container (needs Docker; not a part of `make test`)
	$(PYTEST) -x tests/containers

compose-secrets: ## Write the secrets of docker-compose.yml into ./secrets, where they are missing
	@$(PYTHON) deploy/docker/make_secrets.py $(SECRETS_DIR)

test-k8s: export KUBECTL := $(or $(KUBECTL),kubectl)
test-k8s: export HELM := $(or $(HELM),helm)
test-k8s: $(STAMP) ## Install, update, drain and upgrade the chart on a cluster (KUBECTL, HELM, IMAGE_REPOSITORY, IMAGE_TAG)
	$(BIN)/python -m tests.k8s.run

check: $(STAMP) ## Lint, types, import arrows, words, dead code, contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy core services tools tests
	$(BIN)/lint-imports
	$(BIN)/python tools/words.py
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/python tools/make_proto.py --lint
	$(BIN)/python tools/make_proto.py --check
	$(BIN)/python tools/env_example.py --check
	$(BIN)/python tools/limit_table.py --check

fix: $(STAMP) ## Repair what `make check` can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tools/env_example.py
	$(BIN)/python tools/limit_table.py

proto: $(STAMP) ## Generate gen/ from protos/
	$(BIN)/python tools/make_proto.py

lock: $(STAMP) ## Compile requirements.lock, and the locks of the images, from pyproject.toml
	$(BIN)/python tools/locks.py

bench: $(STAMP) ## Measure CPU per request beside other gateways; writes docs/performance.md
	$(BIN)/python -m tests.load.bench --out docs/performance.md
	$(BIN)/python -m tests.load.bench_guardrails
	$(BIN)/python -m tests.load.formats

bench-vector: $(STAMP) ## Measure vectors: writes, queries, recall, stalls; writes docs/performance.md
	$(BIN)/python -m tests.load.bench_vector --out docs/performance.md

bench-retrieval: $(STAMP) ## Measure how well questions find their pages, on Debian's python3-doc; writes docs/retrieval.md
	$(BIN)/python -m tests.load.bench_retrieval --out docs/retrieval.md

clean: ## Remove what was installed and built, not the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
