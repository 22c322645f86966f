# Two commands need nothing but Python 3.11+ and make:
#
#   make up      set up once, then serve the page (ARGS="--port 9000 --source reference")
#   make test    set up once, then run the tests (ARGS="tests/ledger -k as_of")
#
# The rest is for those who change things: lint, bench, screenshot, lock, clean.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && exit; done; echo python3)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin

# A stamp is named after what it was made from, so a changed lock or pyproject sets up again and nothing else does.
key = $(shell cat $(1) pyproject.toml 2>/dev/null | cksum | tr ' ' '-')
RUNTIME := $(VENV)/.runtime-$(call key,requirements.lock)
DEV := $(VENV)/.dev-$(call key,requirements-dev.lock)

# pip, not a faster tool, because pip honours the mirror, proxy and certificates that a machine is configured with.
# --no-compile leaves byte code to first use: half the set-up time.
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
LOCKED := $(PIP) install --require-hashes --no-deps --only-binary :all: --no-compile
SELF := $(PIP) install --no-deps --no-build-isolation --editable .

.PHONY: up test lint bench scoreboard screenshot lock clean setup setup-dev
.DEFAULT_GOAL := up

up: setup
	@$(BIN)/gridmargin up $(ARGS)

test: setup-dev
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every benchmarks/bench_*.py prints its ratios and exits with 1 where one is over its limit.
bench: setup-dev
	@set -e; found=; for script in benchmarks/bench_*.py; do \
		[ -e "$$script" ] || continue; found=1; echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done; \
	[ -n "$$found" ] || { echo "no benchmarks/bench_*.py found" >&2; exit 1; }

# Runs every backtest on the data pack and writes SCOREBOARD.md with a plot a run.
scoreboard: setup-dev
	@$(BIN)/python tools/scoreboard.py $(or $(GRIDMARGIN_DATA),../shared/data) $(ARGS)

# The browser tests rewrite the README's picture only when asked to.
screenshot: setup-dev
	@GRIDMARGIN_SCREENSHOT=docs/images/page.png $(BIN)/python -m pytest -m browser $(ARGS)

setup: $(RUNTIME)

setup-dev: $(DEV)

$(RUNTIME): | $(BIN)/python
	@echo "Setting up $(VENV) from requirements.lock (once; some 250 MB to fetch)"
	@$(LOCKED) -r requirements.lock
	@$(SELF)
	@# One answer writes the byte code that later starts read, also where the environment says to write none.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/gridmargin now US-ERCO --source reference --data-dir $(VENV)/warm --json >/dev/null
	@rm -f $(VENV)/.runtime-*
	@touch $@

$(DEV): | $(RUNTIME)
	@echo "Adding the test tools from requirements-dev.lock (once; some 100 MB to fetch)"
	@$(LOCKED) -r requirements-dev.lock
	@rm -f $(VENV)/.dev-*
	@touch $@

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "gridmargin needs Python 3.11 or newer, and $(PYTHON) was not found; give its path: make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "gridmargin needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1)." \
		"Give a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear $(VENV)

# For maintainers: pin everything anew. Universal (every platform, Python 3.11+), hashed, and free of host names.
# Needs uv: any on the path, or UV=path/to/uv.
UV ?= uv
COMPILE = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --quiet --no-config $(ARGS)
lock:
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or give UV=path/to/uv" >&2; exit 1; }
	$(COMPILE) --group build --group dev --output-file requirements-dev.lock
	$(COMPILE) --group build --constraint requirements-dev.lock --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
