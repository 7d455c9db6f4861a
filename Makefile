# Needs Python 3.11 or newer and nothing else: the PostgreSQL comes from a wheel. Works as root or not.
PYTHON ?= python3
BIN := .venv/bin
# Each with a server of its own.
PROCESSES := --numprocesses 2
# A rollback drops what its migration made. The rest is what .squawk.toml excludes, which --exclude overrides.
NOT_IN_ROLLBACKS := ban-alter-identity,ban-drop-column,ban-drop-function,ban-drop-table,ban-drop-view,require-lock-timeout,require-statement-timeout

.PHONY: demo test test-matrix lint snapshot bench clean

demo: .venv/installed-embedded
	$(BIN)/pycharter-sql demo

test: .venv/installed-dev
	$(BIN)/pytest $(PROCESSES)

test-matrix: .venv/installed-dev
	$(BIN)/python tests/matrix.py

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/squawk --exclude-path '*.rollback.sql' sql/migrations/*.sql
	$(BIN)/squawk --exclude $(NOT_IN_ROLLBACKS) sql/migrations/*.rollback.sql

snapshot: .venv/installed-dev
	$(BIN)/python tests/snapshot.py

bench: .venv/installed-benchmarks
	$(BIN)/python -m benchmarks.load
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.one
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.questions
	$(BIN)/python -m benchmarks.lineage

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# Installed anew only when what is to be installed has changed.
.venv/installed-%: setup.cfg pyproject.toml | .venv/bin/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

# pip is what comes last into a virtual environment, so that an interrupted one is made again.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'make: $(PYTHON) must be Python 3.11 or newer with venv (Debian, Ubuntu: apt install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv .venv
