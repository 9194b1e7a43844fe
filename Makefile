# MarketPrism: `make demo` shows it, `make test` proves it. Needs python3 (3.11 or later) and make; does its own set-up.
PYTHON ?= python3
DURATION ?= 0
SEEDS ?= 20
SECONDS ?= 60
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check

.PHONY: help setup demo test test-long hostile lint bench bench-full lock clean

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: .venv/ready  ## the environment (.venv) and the broker's jars

.venv/ready: requirements.lock pyproject.toml marketprism/local/kafka.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MarketPrism needs Python 3.11 or later: make PYTHON=python3.11")'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@# The lock's own uv is many times quicker than pip; where it cannot reach the registry that pip is set to, pip does it.
	sed -n '/^uv==/,/# via/p' requirements.lock >.venv/uv.txt
	$(PIP) install --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements.lock \
		|| $(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --quiet -e .
	$(BIN)/python -m marketprism.local.jars
	@touch $@

demo: setup  ## the whole system on this machine with simulated exchanges; DURATION=60 stops after a minute
	$(BIN)/marketprism demo --duration $(DURATION)

test: setup  ## every test, on a real broker and a real engine
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-long: test hostile  ## every test, then the hostile run: some 35 minutes more

hostile: setup  ## the whole pipeline on mutated messages; SEEDS=20 SECONDS=60 each; bench/out/hostile.json holds what was found
	$(BIN)/python -m tests.e2e.hostile --seeds 1-$(SEEDS) --seconds $(SECONDS)

lint: setup  ## ruff, mypy --strict and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## ours beside its rival or floor, some 8 minutes; bench/out holds results.json and report.png
	$(BIN)/python -m bench

bench-full: setup  ## the same with more and longer rounds, some 40 minutes
	$(BIN)/python -m bench --full

lock: setup  ## requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 -o requirements.lock

clean:  ## remove the environment and benchmark results; data/ stays
	rm -rf .venv bench/out
