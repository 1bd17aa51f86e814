# Thin names for the commands people type. `make help` lists them.
# ARGS passes options on: make lab ARGS=--no-browser, make build ARGS=01-data-structures

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

export JUPYTER_PLATFORM_DIRS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help install lab instructor doctor test soak check format build validate reference grade bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY) ## create .venv with the exact locked versions

$(READY): binder/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement binder/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lab: install ## open JupyterLab on the first lesson
	$(BIN)/labkit lab $(ARGS)

instructor: install ## open JupyterLab with nbgrader's formgrader
	$(BIN)/labkit lab --instructor $(ARGS)

doctor: install ## say what this machine has, and what to do about the rest
	$(BIN)/labkit doctor

test: check ## prove the project: lint, types, and every test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

soak: install ## the long hunts: the same properties with larger numbers, their seed printed
	export LABKIT_SOAK=$${LABKIT_SOAK:-50} LABKIT_SEED=$${LABKIT_SEED:-$$$$}; \
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m soak --hypothesis-seed=$$LABKIT_SEED $(ARGS)

check: install ## lint and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## put the code into the house style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

build: install ## execute solutions/ and generate notebooks/ from them
	$(BIN)/labkit build $(ARGS)

validate: install ## fail unless every solution earns full points and every stub none
	$(BIN)/labkit validate $(ARGS)

reference: install ## write docs/reference/ from the docstrings
	$(BIN)/python -m docs.reference

grade: install ## grade what stands in submitted/: make grade ARGS=01-data-structures
	$(BIN)/labkit grade $(ARGS)

bench: install ## measure labkit beside its peers
	$(BIN)/python -m benchmarks $(ARGS)

lock: install ## renew binder/requirements.txt from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --quiet --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file binder/requirements.txt $(ARGS)

clean: ## remove .venv and everything that was made from the sources
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
