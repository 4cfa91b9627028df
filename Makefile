# Needs Python, make and git; everything else is installed below this folder and nowhere else.

# The first of these Pythons that will do. The DuckDB that the demo and the tests need has no wheels for Python 3.14,
# and some systems ship a Python without ensurepip, which can't make an environment.
IS_USABLE := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(IS_USABLE)' 2>/dev/null && echo "$$python" && break; done)

# Tests of several files at a time, for two cores: they wait a third of their time. Those of one file share a simulator.
JOBS ?= 3
SIDE_BY_SIDE := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
SHARED_OUT := --numprocesses $(JOBS) --dist worksteal

# Tests that have a target of their own.
APART := airbyte or airflow or browser or commands or dbt or image or long or python

# Exact versions with their hashes, so that no new release can break or betray anything unseen.
INSTALL := python -m pip install --quiet --require-hashes --requirement
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version 3.11 $(UPGRADE)
AUDIT := for packages in requirements/*.txt; do \
	.venv/bin/python -m pip_audit --progress-spinner off --disable-pip --require-hashes --requirement "$$packages" || exit; done

# An environment that happens to be active, or another Meltano project, must not leak in.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH MELTANO_PROJECT_ROOT

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: help install demo report screenshot docs lint postgres test test-airbyte test-airflow test-dbt test-docs \
	test-image test-long test-python test-report test-rules test-tap audit zizmor lock package bench loaders clean

help:
	@echo "make demo          run the real Meltano job against a simulated API, and make a report of what the logs tell"
	@echo "make report        build the models of health/dbt and write the health report, output/report.html"
	@echo "make test          check style and types, and run all tests but those below"
	@echo "make test-airbyte  run the tests that Airbyte has for sources, and PyAirbyte"
	@echo "make test-airflow  run the DAG of deploy/airflow under a real Airflow, in ten minutes"
	@echo "make test-dbt      build the models of health/dbt in two databases, and test them and the report"
	@echo "make test-docs     run each command of the documents, in ten minutes"
	@echo "make test-image    build what the image of Dockerfile holds, and run it as its user"
	@echo "make test-long     the same tests with more kills and more examples, in a quarter of an hour"
	@echo "make test-python   run the examples of deploy/dlt and deploy/dagster, in two minutes"
	@echo "make test-report   look at the report in a browser, which must be there"
	@echo "make test-tap      test what needs neither Meltano nor DuckDB, for Pythons that those don't know yet"
	@echo "make lint          check style, types and workflows"
	@echo "make docs          make the site of docs/"
	@echo "make loaders       try all loaders out and write docs/loaders.md, in half an hour"
	@echo "make bench         compare the tap with its peers and write tools/benchmarks/RESULTS.md, in about an hour"
	@echo "make screenshot    take pictures of the report for the documentation"
	@echo "make package       build the distributions into dist/"
	@echo "make audit         look the locked packages up among known vulnerabilities"
	@echo "make zizmor        look through the workflows for what an attacker could use"
	@echo "make lock          lock the packages of pyproject.toml; with UPGRADE=--upgrade, their newest releases"
	@echo "make install       install the tap, and Meltano with its plugins"
	@echo "make clean         remove what these have installed and made; your .env, state and output stay"

# With STATE_BACKEND=s3, gcs, azure or postgres, also what Meltano needs to keep its states there.
install: .venv/.tap .meltano/.installed
	@test -z "$(STATE_BACKEND)" || .venv-meltano/bin/python -m pip install --quiet "meltano[$(STATE_BACKEND)]"

demo: .venv/.installed install
	@.venv/bin/python -m tools.demo

report: install
	@.venv-meltano/bin/meltano run report

screenshot: demo
	@.venv/bin/$(INSTALL) requirements/browser.txt
	@.venv/bin/python -m tools.demo.screenshot

lint: .venv/.installed
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m mypy
	.venv/bin/hadolint Dockerfile deploy/kubernetes/Dockerfile
	.venv/bin/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml
	.venv/bin/zizmor --persona pedantic --offline --quiet .github
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@( $(AUDIT) ) >/dev/null 2>&1 || echo "Not audited: a locked package is vulnerable, or there is no network. See make audit."

# Large, and of no use where the system has a PostgreSQL of its own.
postgres: .venv/.installed
	@.venv/bin/python -m tools.postgres >/dev/null 2>&1 || .venv/bin/$(INSTALL) requirements/postgres.txt

# What needs no more than the tap goes on while Meltano and its plugins are installed.
test: .venv/.installed
	@$(MAKE) --no-print-directory --jobs 2 --output-sync install lint postgres test-rules
	@rm -f .coverage*
	.venv/bin/python -m coverage run -m pytest $(SIDE_BY_SIDE) -m "not ($(APART))"
	@.venv/bin/python -m coverage combine --quiet
	.venv/bin/python -m coverage report

# Properties and kills, in the short form that is the same each time.
test-rules: .venv/.installed
	.venv/bin/python -m pytest $(SHARED_OUT) -m long

test-long: .venv/.installed
	LONG_TESTS=1 .venv/bin/python -m pytest $(SHARED_OUT) -m long --timeout 3600 --durations 0

test-dbt: install postgres
	.venv/bin/python -m pytest $(SIDE_BY_SIDE) -m dbt

# The browser is the system's; what drives it is large, and of use to this and to the pictures only.
test-report: .venv/.installed install
	@.venv/bin/python -m tools.browser >/dev/null
	@.venv/bin/$(INSTALL) requirements/browser.txt
	.venv/bin/python -m pytest -m browser

# Each page has a checkout of its own, with what is installed here.
test-docs: install docs postgres .venv-airflow/.installed .venv-dlt/.tap .venv-dagster/.tap
	.venv/bin/python -m pytest -m commands

# PyAirbyte knows no Python from 3.13 on: what is tested with it is skipped there.
test-airbyte: .venv/.installed .venv-airbyte/.installed .venv-pyairbyte/.installed
	.venv/bin/python -m pytest -m airbyte

test-airflow: install postgres .venv-airflow/.installed
	.venv/bin/python -m pytest -m airflow

test-image: .venv/.installed
	.venv/bin/python -m pytest -m image

test-python: .venv-dlt/.tap .venv-dagster/.tap
	.venv/bin/python -m pytest -m python

# What needs neither Meltano nor DuckDB nor dbt nor Airflow, for Pythons that those don't know yet.
test-tap: .venv/.installed
	.venv/bin/python -m pytest $(SIDE_BY_SIDE) $(addprefix --ignore tests/test_, $(addsuffix .py, \
		airbyte_suite airflow commands deploy_python documents group_runs meltano verify)) \
		$(addprefix --ignore=, health tools/demo tools/loaders tools/reference_pages)

docs: .venv-docs/.installed
	.venv-docs/bin/python -m sphinx --fail-on-warning --nitpicky --quiet --fresh-env docs docs/_build
	@echo "The pages are in docs/_build: open index.html."

audit: .venv/.installed
	@$(AUDIT)

zizmor: .venv/.installed
	.venv/bin/zizmor --persona pedantic .github

package: .venv/.installed
	.venv/bin/python -m hatchling build --clean

lock: .venv/.installed
	@.venv/bin/$(INSTALL) requirements/lock.txt
	$(COMPILE) --group dev --extra verify --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --constraint requirements/dev.txt --output-file requirements/tap.txt pyproject.toml
	$(COMPILE) --extra verify --group build --constraint requirements/dev.txt --output-file requirements/user.txt \
		pyproject.toml
	$(COMPILE) --group build --constraint requirements/dev.txt --output-file requirements/build.txt
	$(COMPILE) --group dlt --output-file requirements/dlt.txt pyproject.toml
	$(COMPILE) --group dagster --output-file requirements/dagster.txt pyproject.toml
	$(COMPILE) --group meltano --output-file requirements/meltano.txt
	$(COMPILE) --group airbyte --output-file requirements/airbyte.txt
	$(COMPILE) --group pyairbyte --output-file requirements/pyairbyte.txt
	$(COMPILE) --group airflow --output-file requirements/airflow.txt
	$(COMPILE) --group postgres --constraint requirements/dev.txt --output-file requirements/postgres.txt
	$(COMPILE) --group report --output-file requirements/report.txt
	$(COMPILE) --group browser --constraint requirements/dev.txt --output-file requirements/browser.txt
	$(COMPILE) --group docs --output-file requirements/docs.txt
	$(COMPILE) --group lock --output-file requirements/lock.txt
	$(COMPILE) --group pip --output-file requirements/pip.txt

# All of it, or with BENCH="--rounds 1 --only a,c" some.
bench: .venv/.installed
	.venv/bin/python -m tools.benchmarks $(BENCH)

# All of them, or with LOADERS="--only target-jsonl,target-csv" some.
loaders: .venv/.installed postgres
	.venv/bin/python -m tools.loaders --jobs $(JOBS) $(LOADERS)

clean:
	rm -rf dist .venv .venv-* .meltano/.installed .meltano/extractors .meltano/loaders .meltano/utilities .meltano/run output/demo
	rm -rf .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache docs/_build health/dbt/logs health/dbt/target

.venv/.tap: requirements/user.txt requirements/pip.txt pyproject.toml
	@echo "Installing the tap into .venv ..."
	@test -n "$(PYTHON)" || { echo "Found no Python 3.11, 3.12 or 3.13 with ensurepip: set PYTHON to one." >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv
	@.venv/bin/$(INSTALL) requirements/pip.txt
	@.venv/bin/$(INSTALL) requirements/user.txt
	@.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# What work on the tap needs besides.
.venv/.installed: .venv/.tap requirements/dev.txt
	@echo "Installing tools and tests into .venv ..."
	@.venv/bin/$(INSTALL) requirements/dev.txt
	@touch $@

# What would hold back the tap's own packages, or is of no use to it, has an environment of its own.
.venv-%/.installed: requirements/%.txt requirements/pip.txt | .venv/.tap
	@echo "Installing $* into .venv-$* ..."
	@.venv/bin/python -m venv .venv-$*
	@.venv-$*/bin/$(INSTALL) requirements/pip.txt
	@.venv-$*/bin/$(INSTALL) requirements/$*.txt
	@touch $@

# Those in which the tap is a library.
.PRECIOUS: .venv-%/.installed
.venv-%/.tap: .venv-%/.installed pyproject.toml
	@.venv-$*/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.meltano/.installed: meltano.yml pyproject.toml requirements/report.txt .venv-meltano/.installed $(wildcard deploy/rounds/*)
	@echo "Installing the Meltano plugins into .meltano ..."
	@.venv-meltano/bin/meltano install >.venv-meltano/install.log 2>&1 || { cat .venv-meltano/install.log >&2; exit 1; }
	@touch $@
