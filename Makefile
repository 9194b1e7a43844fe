# `make demo` shows MarketPrism, `make test` tests it. Both need only python3 (3.11 or later) and make.
PYTHON ?= python3
DURATION ?= 0
SEEDS ?= 20
SECONDS ?= 60
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check

.PHONY: help setup demo live test test-long hostile soak lint docs bench bench-full lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: .venv/ready  ## install the environment (.venv) and the broker's jars

.venv/ready: requirements.lock pyproject.toml marketprism/local/kafka.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MarketPrism needs Python 3.11 or later: make PYTHON=python3.11")'
	@echo 'Installing MarketPrism and Apache Kafka into .venv …'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@# uv, from the lock, is many times faster than pip, which replaces it if it cannot reach pip's configured registry.
	@sed -n '/^uv==/,/# via/p' requirements.lock >.venv/uv.txt
	@$(PIP) install --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
		|| $(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m marketprism.local.jars
	@touch $@
	@echo 'MarketPrism is installed.'

demo: setup  ## run the whole system on this machine with simulated exchanges; DURATION=60 stops it after a minute
	@$(BIN)/marketprism demo --duration $(DURATION)

live: setup  ## run the whole system on this machine with the real exchanges, kept in data/; DURATION=60 as above
	@$(BIN)/marketprism live --duration $(DURATION)

# Where the environment forbids compiled modules, each of the many processes of these compiles everything again.
test test-long hostile soak: export PYTHONDONTWRITEBYTECODE =

test: setup  ## run the tests, with a real broker and a real ClickHouse engine
	$(BIN)/python -m pytest -n 4 --dist loadfile -m "not e2e and not long"
	@# These run whole systems, whose signals depend on timely data: three at a time would starve one another.
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "e2e and not long"

test-long: test  ## run all tests, also the long ones and the hostile run, which takes about 35 minutes more
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long
	@$(MAKE) hostile

hostile: setup  ## run the whole pipeline on mutated messages, SEEDS=20 times SECONDS=60; writes bench/out/hostile.json
	$(BIN)/python -m tests.e2e.hostile --seeds 1-$(SEEDS) --seconds $(SECONDS)

soak: setup  ## run the whole pipeline under random faults of sockets, hosts and proxies for SECONDS=60; writes bench/out/soak.json
	$(BIN)/python -m tests.e2e.soak --seconds $(SECONDS)

lint: setup  ## check with ruff, mypy --strict and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup  ## rewrite the tables that follow from the code, in the README and docs/
	$(BIN)/python -m marketprism.ops.docs
	$(BIN)/python -m marketprism.client.generate

bench: setup  ## run the benchmarks, about 8 minutes; writes results.json and report.png to bench/out
	$(BIN)/python -m bench

bench-full: setup  ## run the benchmarks with more and longer rounds, about 40 minutes
	$(BIN)/python -m bench --full

lock: setup  ## recreate requirements.lock from pyproject.toml
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 -o requirements.lock

clean:  ## remove the environment and benchmark results, but not data/
	rm -rf .venv bench/out
