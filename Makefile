# Needs make and Python 3.11 or newer with its venv module; everything else is installed into .venv, by hash.
# Another interpreter: make PYTHON=/path/to/python3.12 …

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test tier1 coverage tier2 tier3 conformance sim mutants soak check image-trial bench bench-full bench-idle bench-latency services services-stop lock clean python

VENV := .venv
BIN := $(VENV)/bin
UV ?= uv
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
# A file's tests stay together and in their order; PARALLEL= runs everything in one process.
PARALLEL ?= -n 2 --dist loadfile
# Half of what tier 3 does is to wait for processes, leases and empty pages.
PARALLEL_TIER3 ?= $(if $(PARALLEL),-n 3 --dist loadfile)
TIER3 := -m "not soak"

# A Python may be on the path and not start (version managers), be too old, or lack venv (Debian): ask each.
FIND_PYTHON := for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo "$$candidate"; exit 0; fi; done; \
	echo 'No Python 3.11 or newer with the venv module found.' >&2; \
	echo 'Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python),' >&2; \
	echo 'or name it: make PYTHON=/path/to/python3' >&2; exit 1

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## .venv with everything to develop, test and check

demo: $(VENV)/.run ## see it work: a table, its stream, Kafka, a lake and a replica, all on this machine (DEMO_ARGS="--keep")
	$(BIN)/cdc demo $(DEMO_ARGS)

test: ## the tests, tier after tier (PYTEST_ARGS="-x"; CDC_REQUIRE_SERVICES=1: tier 3 or failure)
	@$(MAKE) --no-print-directory tier1
	@$(MAKE) --no-print-directory tier2
	@$(MAKE) --no-print-directory tier3
	@echo '== all tiers done'

tier1: $(VENV)/.dev ## unit, property, typing and contract tests
	@echo '== tier 1: unit, property, typing and contract tests; fakes and embedded parts'
	@$(MAKE) --no-print-directory coverage
	$(PYTEST) $(PARALLEL) $(PYTEST_ARGS) --ignore tests/unit/core tests/unit tests/property tests/typing tests/contract

# A selection leaves lines out: only all of the tests are asked for all of the lines.
coverage: $(VENV)/.dev ## the core's own tests, and every branch of it that they leave out (part of tier 1)
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS) tests/unit/core
	$(if $(PYTEST_ARGS),,$(BIN)/python -m coverage report)

tier2: $(VENV)/.dev ## deterministic simulation, and the conformance scenarios
	@echo '== tier 2: deterministic simulation, and the conformance scenarios'
	$(PYTEST) $(PARALLEL) $(PYTEST_ARGS) tests/sim tests/conformance

conformance: $(VENV)/.dev ## the twenty scenarios of docs/conformance.md, by the service and by a naive loop
	$(PYTEST) $(PARALLEL) $(PYTEST_ARGS) tests/conformance

# Services that are already there (make services) stay; those started here are stopped, whatever happens. The start
# says what it cannot start, and fails for it with CDC_REQUIRE_SERVICES=1; the tests find the rest by .services/env.
tier3: $(VENV)/.dev ## real services, end to end
	@echo '== tier 3: real services, end to end'
	@set -eu; ours=; \
	stop() { if [ -n "$$ours" ]; then ours=; $(BIN)/python -m tests.services stop; fi; }; \
	trap stop EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	if [ ! -e .services/env ]; then ours=yes; fi; \
	$(BIN)/python -m tests.services start --if-possible; \
	echo '$(PYTEST) $(PARALLEL_TIER3) $(TIER3) $(PYTEST_ARGS) tests/integration tests/e2e'; \
	$(PYTEST) $(PARALLEL_TIER3) $(TIER3) $(PYTEST_ARGS) tests/integration tests/e2e

SIM_SEEDS ?= 500
SIM_JOBS ?= 2
SIM_MINUTES ?= 2
# `make sim` has run the first seeds.
SIM_SOAK_FIRST ?= 1000

sim: $(VENV)/.dev ## the whole core in a simulated world: 500 seeds that count (SIM_SEEDS, SIM_JOBS; SIM_ARGS="--seed 17": one, with its trace)
	$(BIN)/python -m tests.sim.engine $(if $(SIM_ARGS),$(SIM_ARGS),--seeds $(SIM_SEEDS) --jobs $(SIM_JOBS))

mutants: $(VENV)/.dev ## the code broken in some seventy places, one at a time, and who notices: docs/mutants.md (MUTANTS_ARGS=--write-docs)
	$(BIN)/python -m tests.mutants $(MUTANTS_ARGS)

soak: $(VENV)/.dev ## what takes minutes: more seeds of the simulation (SIM_MINUTES), a registry that stops, the benchmark in small
	$(BIN)/python -m tests.sim.engine --minutes $(SIM_MINUTES) --jobs $(SIM_JOBS) --first $(SIM_SOAK_FIRST)
	@$(MAKE) --no-print-directory tier3 TIER3='-m soak'

check: $(VENV)/.dev ## lint, format, types, layers, and the linters of deploy/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) --quiet tests/deploy

image-trial: $(VENV)/.dev ## the steps of deploy/Dockerfile in a clean Debian, and the service run out of it (root, debootstrap)
	$(BIN)/python -m tests.deploy.image_trial

bench: $(VENV)/.dev ## what a change costs, here and in the loop that everyone writes: docs/performance.md (BENCH_ARGS="--rounds 3")
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-full: $(VENV)/.dev ## the same with every shape of records on 1, 100 and 1,000 shards: an hour or two
	$(BIN)/python -m benchmarks --full $(BENCH_ARGS)

bench-idle: $(VENV)/.dev ## what 1,000 shards cost in which nothing happens
	$(BIN)/python -m benchmarks --only idle $(BENCH_ARGS)

bench-latency: $(VENV)/.dev ## from a write to the reader of a topic
	$(BIN)/python -m benchmarks --only latency $(BENCH_ARGS)

services: $(VENV)/.dev ## start the real services for tier 3, addresses in .services/env (CDC_SERVICES=maven or containers)
	$(BIN)/python -m tests.services start

services-stop: $(VENV)/.dev ## stop them
	$(BIN)/python -m tests.services stop

lock: ## compile requirements/*.txt anew (needs uv; LOCK_ARGS="--upgrade")
	$(UV) $(LOCK) pyproject.toml --extra all --group build --output-file requirements/run.txt
	$(UV) $(LOCK) pyproject.toml --extra all --group build --group dev --constraints requirements/run.txt \
		--output-file requirements/dev.txt
	$(UV) $(LOCK) pyproject.toml $(IMAGE_EXTRAS) --constraints requirements/run.txt --output-file requirements/image.txt
	$(UV) $(LOCK) --group build --constraints requirements/run.txt --output-file requirements/build.txt
	$(UV) $(LOCK) --group go --output-file tests/services/go-requirements.txt

# What the container has: every sink and registry, no emulator.
IMAGE_EXTRAS := --extra kafka --extra registry

# One file for Python 3.11 and newer on every system, without the address of any index.
LOCK = pip compile --quiet $(LOCK_ARGS) --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

clean: ## remove .venv, caches and builds (not .services: make services-stop)
	rm -rf $(VENV) build dist htmlcov .coverage* *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

python: # the interpreter that .venv would be made of
	@$(FIND_PYTHON)

$(BIN)/python:
	@python=$$($(FIND_PYTHON)) && echo "$$python -m venv $(VENV)" && "$$python" -m venv $(VENV)

# A stamp is younger than what it was made of. Only wheels: no package runs code of its own to be installed.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/run.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# The development set holds the other one, at the same versions.
$(VENV)/.dev: requirements/dev.txt requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/dev.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.run $@
