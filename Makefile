# What a person types here. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCK_TOOL := .run/lock-tool
LOCK = $(LOCK_TOOL)/bin/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help setup run demo test faults sabotage check lock

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## create .venv with everything the other verbs need
	@:

run: $(INSTALLED) ## bring the whole system up on this machine, until Ctrl-C (PORT=9000, KEEP=1)
	@$(BIN)/python -m cdk.local run

demo: $(INSTALLED) ## load, change and audit a running system, and end (DEMO_EVENTS=20000)
	@$(BIN)/python -m cdk.local demo

test: $(INSTALLED) ## run the tests (ARGS="-k frames")
	@$(BIN)/python -m pytest -q $(ARGS)

faults: $(INSTALLED) ## break things under load and audit what was promised (ARGS="-k redis")
	@$(BIN)/python -m pytest -q -m faults tests/faults --reliability docs/reliability.md $(ARGS)

sabotage: $(INSTALLED) ## take each promise's mechanism out of a copy, and see that a test notices
	@$(BIN)/python -m tests.sabotage

check: $(INSTALLED) ## lint, format, types, import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

lock: ## pin pyproject.toml's dependencies again, with hashes (UPGRADE=1 takes newer ones)
	@$(PYTHON) -m venv $(LOCK_TOOL)
	@$(LOCK_TOOL)/bin/pip install --quiet --disable-pip-version-check uv
	@$(LOCK) --all-extras --group local --group cdk --group dev $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	@$(LOCK) --extra tracker --constraint requirements.lock --output-file tracker/requirements.lock
	@$(LOCK) --extra workers --extra lambdas --constraint requirements.lock --output-file workers/requirements.lock

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Python 3.11 or newer is needed; $(PYTHON) is not. Install one, or name it: make setup PYTHON=python3.12' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv' >&2; \
		exit 1; }
	@echo 'Installing into $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
