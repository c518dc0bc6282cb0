# One command for each thing one does here; `make` alone lists them.
# Whatever a command needs, it installs by itself: into .venv and .tools, from the lock files in requirements/.

PYTHON ?= python3
PORT ?= 8000
ARGS ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SAM := .tools/sam/bin/sam
SAM_READY := .tools/sam/.ready
SECURITY_READY := .tools/security/.ready
CHECKOV_READY := .tools/checkov/.ready
ASL_READY := .tools/asl/.ready
BENCH_READY := .tools/bench/.ready

# What lints and validates must not ask an account, nor somebody's profile, where it is, nor send home what it saw.
OFFLINE := AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1 SAM_CLI_TELEMETRY=0

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links
COMPILE_FOR_LAMBDA := $(BIN)/uv pip compile --quiet --python-platform aarch64-manylinux_2_28 --python-version 3.13 \
	--generate-hashes --no-header --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help setup demo up test test-slow faults bench-staging bench-fleet check lint format types architecture openapi \
	machines template security checkov parliament bandit secrets build deploy lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## take a model from a hub to an answered prompt, on this machine (ARGS=--json)
	@$(BIN)/python -m local demo $(ARGS)

up: $(READY) ## start the embedded cloud and the API, and stay (PORT=8000 ARGS=)
	@$(BIN)/python -m local up --port $(PORT) $(ARGS)

test: $(READY) ## run the tests but those that take minutes (ARGS= goes to pytest)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow" $(ARGS)

test-slow: $(READY) ## run those: endpoints by the real state machines, workflows as each of their roles
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m slow $(ARGS)

faults: $(READY) ## break every call of every workflow, and say what came of it (ARGS= such as --replay)
	@$(BIN)/python -m tests.faults $(ARGS)

bench-staging: $(READY) $(BENCH_READY) ## how fast weights are copied, against rclone and others; ends with JSON
	@$(BIN)/python -m bench.staging $(ARGS)

bench-fleet: $(READY) ## how long 17 to 1,000 copiers take for a model, and for how much; simulated; ends with JSON
	@PYTHONPATH=layers/core/python $(BIN)/python -m bench.fleet $(ARGS)

check: lint types architecture machines template security ## everything that needs no running

lint: $(READY) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY) ## let ruff repair what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

architecture: $(READY) ## who may import whom; template, machines, routes and folders agree
	@$(BIN)/python -m pytest tests/architecture -q

openapi: $(READY) ## write docs/openapi.json from the routes and their contracts
	@$(BIN)/python -m tools.openapi

machines: $(READY) $(ASL_READY) ## every state machine through asl-validator
	@$(BIN)/python -m tools.asl

template: $(READY) $(SAM_READY) ## template.yaml through the translator, cfn-lint and sam validate
	@$(OFFLINE) $(BIN)/python -m tools.translate
	@$(OFFLINE) .tools/sam/bin/cfn-lint --non-zero-exit-code informational template.yaml build/template.translated.json
	@$(OFFLINE) $(SAM) validate --lint --template-file template.yaml

security: checkov parliament bandit secrets ## everything that looks for weaknesses

checkov: $(READY) $(CHECKOV_READY) ## the translated template through checkov; checkov.yaml says what it may find
	@$(OFFLINE) $(BIN)/python -m tools.translate
	@$(OFFLINE) .tools/checkov/bin/checkov --config-file checkov.yaml --framework cloudformation \
		--file build/template.translated.json

parliament: $(READY) $(SECURITY_READY) ## every policy of the translated template through parliament
	@$(OFFLINE) $(BIN)/python -m tools.translate
	@.tools/security/bin/python -W ignore tools/policies.py build/template.translated.json

bandit: $(SECURITY_READY) ## our code through bandit; pyproject.toml says what it may find
	@.tools/security/bin/bandit --quiet --configfile pyproject.toml --recursive layers/core functions local client tools

secrets: $(READY) $(SECURITY_READY) ## every file through a secret scanner, which has to find a planted one first
	@$(BIN)/python -m tools.leaks

build: $(READY) $(SAM_READY) ## sam build: functions and layers for arm64, without Docker
	@$(OFFLINE) $(BIN)/python -m tools.sam_build $(ARGS)

deploy: ## sam build, then sam deploy --guided into your account (ARGS= goes to sam deploy)
	@$(MAKE) --no-print-directory build ARGS=
	@$(SAM) deploy --guided $(ARGS)

lock: $(READY) ## compile the lock files again (uv)
	$(COMPILE) --output-file requirements/dev.lock requirements/dev.in
	$(COMPILE) --output-file requirements/sam.lock requirements/sam.in
	$(COMPILE) --output-file requirements/security.lock requirements/security.in
	$(COMPILE) --output-file requirements/checkov.lock requirements/checkov.in
	$(COMPILE) --output-file requirements/node.lock requirements/node.in
	$(COMPILE) --output-file requirements/bench.lock requirements/bench.in
	$(COMPILE_FOR_LAMBDA) --constraint requirements/dev.lock \
		--output-file layers/dependencies/requirements.lock layers/dependencies/requirements.in
	$(COMPILE_FOR_LAMBDA) --no-deps --constraint requirements/dev.lock \
		--output-file layers/dependencies/chalice.lock layers/dependencies/chalice.in
	$(COMPILE_FOR_LAMBDA) --constraint requirements/dev.lock \
		--output-file layers/checksums/requirements.lock layers/checksums/requirements.in
	cd requirements/asl && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

clean: ## remove everything that make made
	rm -rf $(VENV) .tools .aws-sam build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(READY) ## install only (every command does it by itself)

$(READY): requirements/dev.lock pyproject.toml tools/install.py
	@$(PYTHON) tools/install.py environment $(VENV) --lock requirements/dev.lock --editable .

$(SAM_READY): requirements/sam.lock tools/install.py
	@$(PYTHON) tools/install.py environment .tools/sam --lock requirements/sam.lock

$(SECURITY_READY): requirements/security.lock tools/install.py
	@$(PYTHON) tools/install.py environment .tools/security --lock requirements/security.lock

$(CHECKOV_READY): requirements/checkov.lock tools/install.py
	@$(PYTHON) tools/install.py environment .tools/checkov --lock requirements/checkov.lock

$(BENCH_READY): requirements/bench.lock tools/install.py
	@$(PYTHON) tools/install.py environment .tools/bench --lock requirements/bench.lock

$(ASL_READY): requirements/asl/package.json requirements/asl/package-lock.json requirements/node.lock tools/install.py
	@$(PYTHON) tools/install.py validator .tools/asl
