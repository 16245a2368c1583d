# crossover: `make demo` and `make test` are all that a newcomer needs. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := envs/requirements.lock
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo report test test-quick lint format schema lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## make .venv with everything pinned in envs/requirements.lock

# The stamp is written last: an interrupted installation is taken up again. Modules are compiled by all cores; pip would use one, and
# take longer for it than for everything else.
$(VENV)/.installed: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "crossover needs Python 3.11 or later, but $(PYTHON) is $$($(PYTHON) --version 2>&1 || true); run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -r $(LOCK)
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # some packages carry templates that are no Python yet
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: install ## run the demo study and print the path of its report
	snakemake --config study=demo
	@echo "$(CURDIR)/results/studies/demo/report.html"

report: install ## bring the report of the study in config/config.yaml up to date, with Snakemake's own report beside it
	snakemake
	snakemake --report results/snakemake-report.html

# One worker more than cores: those of the cluster wait half of the time.
PARALLEL := -n 3 --dist loadscope --no-loadscope-reorder

test: install ## run the tests in parallel; what this machine cannot run is skipped by name
	pytest $(PARALLEL)

test-quick: install ## run the tests that train nothing, and those of the exact jobs that an edit plans
	pytest $(PARALLEL) -m "not training" tests/unit tests/dag

lint: install ## check style, types, the rules and the generated files
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint
	crossover config-schema --check

format: install ## put everything into the style that `make lint` checks
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

schema: install ## generate the JSON Schemas and the reference of config/ anew
	crossover config-schema

lock: ## pin the newest versions that envs/requirements.in allows, in a fresh environment
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check packaging -r envs/requirements.in
	build/lock/bin/python envs/make_lock.py

clean: ## remove the environment and everything made; downloads stay
	rm -rf $(VENV) results logs .snakemake build workflow/*.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
