# The one door to everything a developer or a newcomer runs. `make help` lists it.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo install test test-units test-processes test-browser test-faults test-slow lint types imports check format openapi lock clean

# The first Python that starts and is new enough; requirements/venv.sh says what is wrong where none is.
PYTHON ?= $(or $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done),python3)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
ARGS ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.run-installed ## install, tag sample photos, show them in the browser (first time: some minutes)
	@$(BIN)/python -m ui.demo

install: .venv/.run-installed ## install phototag into .venv, without running anything

test: .venv/.dev-installed ## all tests but the slow ones and those that kill processes
	@requirements/browser.sh
	@$(MAKE) -j2 --keep-going --output-sync=target test-processes test-units test-browser

# With ARGS="-k name" all tests of that name may be in one part.
NONE_IS_FINE = $(if $(ARGS),|| test $$? -eq 5)

# The parts of `test`, two side by side: the longest is begun first.
test-units: .venv/.dev-installed
	$(PYTEST) -q --durations=10 -m "not slow and not faults" tests/unit tests/fuzz tests/architecture $(ARGS) $(NONE_IS_FINE)

test-processes: .venv/.dev-installed
	$(PYTEST) -q --durations=10 -m "not slow and not faults" tests/integration tests/faults $(ARGS) $(NONE_IS_FINE)

test-browser: .venv/.dev-installed
	$(PYTEST) -q --durations=10 -m "not slow and not faults" tests/browser $(ARGS) $(NONE_IS_FINE)

test-faults: .venv/.dev-installed ## tests that kill workers, the broker and the database at awkward moments
	$(PYTEST) -q --durations=10 -m "faults" $(ARGS)

test-slow: .venv/.dev-installed ## tests that take minutes: large inputs, real weights, long random runs
	$(PYTEST) -q --durations=10 -m "slow and not faults" $(ARGS)

lint: .venv/.dev-installed ## ruff: rules and format
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

types: .venv/.dev-installed ## pyright, strict but where Keras is imported
	$(BIN)/pyright

imports: .venv/.dev-installed ## import-linter: ui and training -> worker -> db
	$(BIN)/lint-imports --no-cache

check: lint types imports ## lint, types and imports

format: .venv/.dev-installed ## rewrite the code as `make lint` wants it
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

openapi: .venv/.dev-installed ## write docs/openapi.json again, after a change of /api/v1
	$(BIN)/python -m tests.write_openapi

lock: ## pin every dependency again, with hashes (needs uv)
	requirements/compile.sh

clean: ## remove the environment, caches and build results; never phototag-data
	rm -rf .venv build dist test-report *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: the environment is touched again only when a pinned set or pyproject.toml changes.
$(BIN)/python:
	@requirements/venv.sh "$(PYTHON)"

.venv/.run-installed: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing TensorFlow, Gradio and what they need: about 560 MB to download, 2.4 GB on disk, some minutes"
	@requirements/install.sh run
	@touch $@

.venv/.dev-installed: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing phototag with its test tools: about 710 MB to download, 2.8 GB on disk, some minutes"
	@requirements/install.sh dev
	@touch $@ .venv/.run-installed # dev.txt holds all of run.txt: tests/architecture keeps it so
