# make demo         ingest, commit, train, read back: the whole path on real data
# make test         the test suite; make test-slow adds nothing but the slow ones
# make test-scale   the proofs (crashes, histories, writers, damage) with SCALE=10 times as many cases: two to three hours
# make lint         formatting, types, import layers
# make bench        zlake beside its peers; make bench-peers installs the peers
#
# PYTHON=...        the interpreter that the environment is made of
# SCALE=...         of make test-scale
# PYTEST_ARGS=...   e.g. PYTEST_ARGS="tests/extents -k plan"
# BENCH_ARGS=...    e.g. BENCH_ARGS="--only fixed --quick"

CANDIDATES := python3.11 python3.12 python3.13 python3
PYTHON ?= $(firstword $(foreach p,$(CANDIDATES),$(if $(shell $(p) -c 'print(1)' 2>/dev/null),$(p))) python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PYTEST_ARGS ?=
SCALE ?= 10
BENCH_ARGS ?=

.PHONY: setup demo test test-proofs test-units test-slow test-scale lint format bench bench-peers clean
.DEFAULT_GOAL := test

setup: $(READY)

$(BIN)/python:
	@echo "making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# torch comes first and pinned: left to itself the resolver may take a newer one with its GPU libraries.
$(READY): pyproject.toml constraints-dev.txt | $(BIN)/python
	@echo "installing zlake with its development tools (several minutes the first time)"
	@$(PIP) install -qq --retries 8 --constraint constraints-dev.txt torch
	@$(PIP) install -qq --retries 8 --constraint constraints-dev.txt --editable '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/python examples/demo.py

# Without arguments the suite runs as two halves side by side, of about the same length.
PROOFS := tests/copies tests/crash tests/damage tests/interleave tests/model

test: $(READY)
ifeq ($(strip $(PYTEST_ARGS)),)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-proofs test-units
else
	@$(BIN)/python -m pytest $(PYTEST_ARGS)
endif

test-proofs: $(READY)
	@$(BIN)/python -m pytest -p no:cacheprovider $(PROOFS)

test-units: $(READY)
	@$(BIN)/python -m pytest -p no:cacheprovider $(PROOFS:%=--ignore=%)

test-slow: $(READY)
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

# The proofs are the files that ask tests/scale.py for their counts, or in how many surroundings a change is made.
test-scale: $(READY)
	@ZLAKE_SCALE=$(SCALE) $(BIN)/python -m pytest --timeout=7200 $(PYTEST_ARGS) \
		$$(grep -rlE --include='test_*.py' 'tests\.(scale|crash\.surroundings)' tests)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict zlake
	@$(BIN)/lint-imports --no-cache --no-logo

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY)
	@$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

bench-peers: $(READY)
	@$(BIN)/python -m benchmarks.install $(BENCH_ARGS)

clean:
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
