# Needs Python, make and git; everything else is installed below this folder and nowhere else.

# The first of these Pythons that will do. The DuckDB that the demo and the tests need has no wheels for Python 3.14,
# and some systems ship a Python without ensurepip, which can't make an environment.
IS_USABLE := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(IS_USABLE)' 2>/dev/null && echo "$$python" && break; done)

# One exact version, so that a new Meltano can't break the demo or the tests unseen. It has an environment of its
# own because its requirements would hold back those of the tap.
MELTANO := meltano==4.4.1

# An environment that happens to be active, or another Meltano project, must not leak in.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH MELTANO_PROJECT_ROOT

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: help install demo test bench clean

help:
	@echo "make demo     run the real Meltano job against a simulated API and show what the logs tell"
	@echo "make test     check style and types, and run all tests"
	@echo "make bench    compare the tap with its peers and write benchmarks/RESULTS.md, in about an hour"
	@echo "make install  install all that the demo and the tests need, and the Meltano plugins"
	@echo "make clean    remove what these have installed and made; your .env, state and output stay"

install: .venv/.installed .meltano/.installed

demo: install
	@.venv/bin/python -m demo

test: install
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m mypy
	@# Large, and of no use where the system has a PostgreSQL of its own.
	@.venv/bin/python tests/postgres.py >/dev/null 2>&1 || .venv/bin/python -m pip install --quiet --group postgres
	.venv/bin/python -m pytest

# All of it, or with BENCH="--rounds 1 --only a,c" some.
bench: .venv/.installed
	.venv/bin/python -m benchmarks $(BENCH)

clean:
	rm -rf .venv .venv-bench .venv-meltano .meltano/.installed .meltano/extractors .meltano/loaders .meltano/run output/demo
	rm -rf .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/.installed: pyproject.toml
	@echo "Installing the tap and its tools into .venv ..."
	@test -n "$(PYTHON)" || { echo "Found no Python 3.11, 3.12 or 3.13 with ensurepip: set PYTHON to one." >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv
	@.venv/bin/python -m pip install --quiet --upgrade pip
	@.venv/bin/python -m pip install --quiet --editable . --group dev
	@touch $@

.venv-meltano/.installed: Makefile | .venv/.installed
	@echo "Installing Meltano into .venv-meltano ..."
	@.venv/bin/python -m venv .venv-meltano
	@.venv-meltano/bin/python -m pip install --quiet --upgrade pip
	@.venv-meltano/bin/python -m pip install --quiet "$(MELTANO)"
	@touch $@

.meltano/.installed: meltano.yml pyproject.toml .venv-meltano/.installed
	@echo "Installing the Meltano plugins into .meltano ..."
	@.venv-meltano/bin/meltano install >.venv-meltano/install.log 2>&1 || { cat .venv-meltano/install.log >&2; exit 1; }
	@touch $@
