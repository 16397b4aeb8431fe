# noescape: install, try, check. `make` alone explains; see also docs/.
# On another Python: make PYTHON=python3.12 VENV=.venv312 …

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
DATA ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench torture lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## create $(VENV) with everything that noescape needs

# An environment that an interrupted run left half made has no working pip: it is made anew. torch comes first and
# by version alone, so that a CPU build which is already there, or which pip is set up to find, counts; the line
# after the hashed packages completes what torch itself asks for, which on a CPU build is nothing.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'noescape needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@rm -f $(STAMP)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: install ## fit on good solar cells, inspect held-out modules, write the report
	$(BIN)/noescape demo

test: install ## the fast tests
	$(BIN)/python -m pytest -n $(JOBS)

lint: install ## ruff (rules and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(if $(strip $(DATA)),install) ## measure speed, memory, accuracy: make bench DATA=… [PEER=…]
ifeq ($(strip $(DATA)),)
	@echo 'make bench DATA=DIR             a category in the MVTec layout (noescape data import makes one)'
	@echo 'make bench DATA=DIR PEER=PYTHON also runs anomalib in the environment of that interpreter, side by side'
	@echo 'All choices: $(BIN)/python benchmarks/inspector.py --help'
else
	$(BIN)/python benchmarks/inspector.py --data $(DATA) $(if $(PEER),--peer $(PEER))
endif

torture: install ## the long hostile suites: thousands of damaged files, random kills
	$(BIN)/python -m pytest -n $(JOBS) tests/torture

lock: ## write constraints.txt anew (about six minutes; LOCK=--upgrade for the newest versions)
	$(PYTHON) tools/lock.py $(LOCK)

clean: ## remove caches and builds; $(VENV) and results stay
	rm -rf build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
