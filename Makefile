# What a person types here. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNNABLE := $(VENV)/.runnable
TO_RUN = $(if $(wildcard $(INSTALLED)),$(INSTALLED),$(RUNNABLE))
LOCK_TOOL := .run/lock-tool
CDK := node_modules/.bin/cdk
OUTPUTS := cdk.out/outputs.json
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
LOCK = $(LOCK_TOOL)/bin/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --no-header

define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo 'Python 3.11 or newer is needed; $(PYTHON) is not. Install one, or name it: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12' >&2; \
	exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo 'This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv' >&2; \
	exit 1; }
@echo 'Installing $< into $(VENV), once: this takes some minutes ...'
@$(PYTHON) -m venv $(VENV)
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
@touch $@
endef

.DEFAULT_GOAL := help
.PHONY: help setup run demo load workers test faults bench screenshots sabotage coldstart cost synth deploy bootstrap destroy check lock

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## create .venv with everything that any verb needs (run, demo and load need less)
	@:

run: $(TO_RUN) ## bring the whole system up on this machine, until Ctrl-C (PORT=9000, KEEP=1)
	@$(BIN)/python -m cdk.local run

demo: $(TO_RUN) ## load, change and audit a running system, and end (DEMO_EVENTS=20000)
	@$(BIN)/python -m cdk.local demo

load: $(TO_RUN) ## send events at a running system, see it take them (ARGS="--rate 2000 --batch 100 --verify")
	@$(BIN)/python -m tests.load $(ARGS)

workers: $(TO_RUN) ## run the workers' command line against the running system (ARGS="tail event")
	@$(BIN)/python -m cdk.local workers $(ARGS)

test: $(INSTALLED) ## run the tests (ARGS="-k frames")
	@$(BIN)/python -m pytest -q $(ARGS)

faults: $(INSTALLED) ## break things under load and audit what was promised (ARGS="-k redis")
	@$(BIN)/python -m pytest -q -m faults tests/faults --reliability docs/reliability.md $(ARGS)
	@$(BIN)/python -m pytest -q -m faults tests/workers $(ARGS)

sabotage: $(INSTALLED) ## take each promise's mechanism out of a copy, and see that a test notices (ARGS=fence)
	@$(BIN)/python -m tests.sabotage $(ARGS)

coldstart: $(INSTALLED) ## measure how long the Lambda functions take from nothing to their first answer
	@$(BIN)/python -m pytest -q -s -m bench tests/lambdas/test_coldstart.py

bench: $(INSTALLED) ## measure the tracker against a bare route and the naive way (ARGS="--quick")
	@$(BIN)/python -m tests.bench all $(ARGS)

cost: $(INSTALLED) ## write docs/cost.md: what each profile costs a month, line by line
	@$(BIN)/python -m cdk.cost_page

screenshots: $(INSTALLED) ## take the pictures of the live page that docs show, with load on
	@$(BIN)/python -m tests.browser.screenshots

synth: $(INSTALLED) $(CDK) ## write the AWS templates to cdk.out (ARGS="-c profile=standard")
	@$(WITH_NODE) $(CDK) synth --quiet $(ARGS)

deploy: $(INSTALLED) $(CDK) ## put the system on AWS (ARGS="-c profile=standard -c region=eu-central-1")
	@echo 'First time in this account and region? Run this once: make bootstrap'
	@$(WITH_NODE) $(CDK) deploy --all --outputs-file $(OUTPUTS) $(ARGS)
	@$(BIN)/python -m cdk.outputs $(OUTPUTS)

bootstrap: $(INSTALLED) $(CDK) ## prepare an account and region for CDK, once
	@$(WITH_NODE) $(CDK) bootstrap $(ARGS)

destroy: $(INSTALLED) $(CDK) ## take the system off AWS; its data stays
	@$(WITH_NODE) $(CDK) destroy '*-monitoring' '*-services' '*-functions' '*-cache' '*-network' $(ARGS)
	@echo 'The stack of data is still there. docs/aws.md says how to remove it.'

check: $(INSTALLED) ## lint, format, types, import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

lock: ## pin pyproject.toml's dependencies again, with hashes (UPGRADE=1 takes newer ones)
	@$(PYTHON) -m venv $(LOCK_TOOL)
	@$(LOCK_TOOL)/bin/pip install --quiet --disable-pip-version-check uv
	@$(LOCK) --all-extras --group local --group cdk --group dev $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	@$(LOCK) --all-extras --group local --constraint requirements.lock --output-file cdk/local/requirements.lock
	@$(LOCK) --extra tracker --constraint requirements.lock --output-file tracker/requirements.lock
	@$(LOCK) --extra workers --extra lambdas --constraint requirements.lock --output-file workers/requirements.lock

$(CDK): package-lock.json $(INSTALLED)
	@$(WITH_NODE) npm ci --silent
	@touch $@

$(INSTALLED): requirements.lock
	$(install)

$(RUNNABLE): cdk/local/requirements.lock
	$(install)
