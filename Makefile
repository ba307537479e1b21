# Everything goes into .venv/ beside this file. `make demo` and `make test` set up what they need.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes torch from there: no CUDA packages.
PYTHON ?= python3
PIP_OPTIONS ?=
TORCH_INDEX ?=
BIN := .venv/bin

.PHONY: setup demo test test-fast lint format docs app clean help

help:            ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: .venv/installed  ## virtual environment with pinned packages

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make setup PYTHON=python3.11'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) \
		$(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX),-c constraints.txt) "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -e '.[dev,docs]'
	@$(BIN)/python -c 'import pymatting'  # compiles its kernels, once
	@touch $@

demo: setup      ## matte real photographs with the bundled model, offline
	$(BIN)/icm demo

test: setup      ## the whole suite
	$(BIN)/pytest -n $(or $(WORKERS),2) --dist loadgroup

test-fast: setup ## the suite without browser and fault tests
	$(BIN)/pytest -n $(or $(WORKERS),2) --dist loadgroup -m 'not browser and not fault'

lint: setup      ## format, lint, types, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup    ## rewrite files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup      ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

app: setup       ## the web page
	$(BIN)/icm app

clean:           ## remove the environment and what was built
	rm -rf .venv build dist demo_output
