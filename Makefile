# Everything goes into .venv/ beside this file. `make demo` and `make test` set up what they need.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes torch from there: no CUDA packages.
PYTHON ?= python3
PIP_OPTIONS ?=
TORCH_INDEX ?=
BIN := .venv/bin

WIDGETS := tests/widgets
NODE := $(shell command -v node 2>/dev/null)

.PHONY: setup demo test test-fast test-widgets lint lint-widgets format docs app clean help

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

# A worker that dies is not replaced: pytest-xdist 3.8 can wait for ever after that (its issue 1323).
PYTEST := $(BIN)/pytest -n $(or $(WORKERS),2) --dist loadgroup --max-worker-restart 0

test: setup test-widgets ## the whole suite
	$(PYTEST)

test-fast: setup ## the suite without browser and fault tests
	$(PYTEST) -m 'not browser and not fault'

# The page's scripts need Node, which nothing else here does: without it they are skipped, and said so.
test-widgets:    ## unit tests of the page's scripts
ifdef NODE
	cd $(WIDGETS) && node --test
else
	@echo 'skipped: tests of the page scripts need Node 18.18 or newer (.ci/node-setup)'
endif

lint-widgets:    ## linter of the page's scripts
ifneq ($(and $(NODE),$(wildcard $(WIDGETS)/node_modules/.bin/eslint)),)
	cd $(WIDGETS) && npm run --silent lint
else
	@echo 'skipped: the linter of the page scripts is not set up (.ci/node-setup)'
endif

lint: setup lint-widgets ## format, lint, types, import arrows
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
