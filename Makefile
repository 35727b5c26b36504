# make demo | test | test-slow | test-oldest | check | stress | stress-short | docs | docs-outputs | notebooks | bench | clean. Needs make and python3; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
OLDEST_PYTHON ?= python3.11
OLDEST_TESTS := tests/design tests/storage tests/test_model.py tests/test_options.py tests/plots/test_estimate_plots.py tests/postfit/population/test_contrasts.py
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow test-oldest check format stress stress-short docs docs-outputs notebooks bench clean python

demo: $(VENV)/.installed  ## fit the introductory examples and print their summaries and comparisons
	$(BIN)/python -m glmmjax demo

test: $(VENV)/.installed  ## the tests that take seconds, in two processes
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/.installed  ## the tests that take minutes, two folders at a time, each in a process of its own
	$(BIN)/python tests/run_slow.py

test-oldest: pyproject.toml  ## some of the tests with Python 3.11 and the oldest versions that pyproject.toml allows
	@command -v $(OLDEST_PYTHON) >/dev/null 2>&1 || { echo "$(OLDEST_PYTHON) is missing: install Python 3.11, or name it (make test-oldest OLDEST_PYTHON=...)" >&2; exit 1; }
	$(OLDEST_PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -r tests/oldest.txt
	PYTHONPATH=. .venv-oldest/bin/python -m pytest -q $(OLDEST_TESTS)

stress: $(VENV)/.installed  ## 2,000 simulated data sets, hostile inputs, and R beside it; STRESS="--seed 2 --n 300" and more: --help
	$(BIN)/python -m benchmarks.stress $(STRESS)

stress-short: $(VENV)/.installed  ## the part of it that takes some ten minutes
	$(BIN)/python -m benchmarks.stress --short --jobs 2 $(STRESS)

check: $(VENV)/.installed  ## lint, layout, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed  ## mend what lint and layout can mend by themselves
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs  ## the documentation in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-outputs: $(VENV)/.installed  ## run the code of docs/ and README.md, and write its outputs and figures into them; PAGES="docs/jax.md" for some
	$(BIN)/python -m tests.pages $(PAGES)

notebooks: $(VENV)/.installed  ## execute the notebooks and store their outputs
	$(INSTALL) -e ".[notebooks]"
	for notebook in notebooks/*.ipynb; do $(BIN)/jupyter-execute --inplace --timeout=900 $$notebook || exit 1; done

bench: $(VENV)/.installed-bench  ## glmmjax against its peers, on this machine; BENCH=--quick for the small problems
	$(BIN)/python -m benchmarks $(BENCH)

clean:
	rm -rf $(VENV) .venv-oldest build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One line says what is missing; order-only, so that it never makes .venv look out of date.
python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "$(PYTHON) is missing: install Python 3.11 or later, or name it (make PYTHON=python3.12)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "$(PYTHON) is Python %d.%d; glmmjax needs 3.11 or later: install it, or name it (make PYTHON=python3.12)" % v[:2])'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml | python
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[dev,parquet,plot,marginaleffects,sklearn]"
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) -e ".[docs]"
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(INSTALL) -e ".[bench]" || echo "some peers cannot be installed here; they are reported as not installed"
	@touch $@
