# Everything starts here; `make` alone lists the targets.
# `make install` needs Python 3.11 or newer with pip, or uv. PYTHON=… picks another interpreter.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help install up test test-live lint bench lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'

install: $(STAMP) ## make .venv and install what requirements.txt pins

up: install ## start everything and keep it running until Ctrl-C; HOST=… PORT=… of the page
	@exec $(BIN)/gex up $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

test: install ## run the tests
	$(BIN)/python -m pytest

test-live: install ## ask the real Schwab with your own credentials; reads only; stop make up first
	$(BIN)/python -m pytest -m live gex_pipeline_tests/acceptance

lint: install ## check style, types and the dependency rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/dagster definitions validate -w workspace.yaml

bench: install ## measure the engine against its limits
	$(BIN)/gex bench engine

clean: ## remove what make made; data, .tokens and .env stay
	rm -rf .venv .tools build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv from PATH or, once, from the package index into .tools: `pip --target` works where Debian keeps
# pip out of the system's folders and where Python came without ensurepip. `uv` stays empty if
# neither can be had.
define FIND_UV
uv=$$(command -v uv || true); \
if [ -z "$$uv" ] && [ ! -x .tools/bin/uv ]; then \
  echo "Fetching uv into .tools"; \
  PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools uv || true; \
fi; \
if [ -z "$$uv" ] && .tools/bin/uv --version >/dev/null 2>&1; then uv=.tools/bin/uv; fi
endef

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

# Reinstalls only when the pinned versions or the project's own declaration change.
# --no-deps with pip: the list is complete, and older pips refuse hashes for "name[extra]".
# --no-build-isolation: the build backend is in requirements.txt, with its hashes.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@if [ -e .venv ] && ! $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null; then rm -rf .venv; fi
	@$(FIND_UV); \
	if [ -n "$$uv" ]; then \
	  echo "Installing with uv"; \
	  { [ -x $(BIN)/python ] || "$$uv" venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv; } && \
	  "$$uv" pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt && \
	  "$$uv" pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . && \
	  touch $(STAMP) && exit 0; \
	  echo "uv did not succeed; trying pip." >&2; \
	fi; \
	set -e; \
	echo "Installing with pip"; \
	if [ ! -x $(BIN)/python ]; then \
	  $(PYTHON) -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; $(PYTHON) -m venv --without-pip .venv; }; \
	fi; \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	else echo "Neither uv nor pip was found. Install one of them (Debian: apt install python3-pip)." >&2; exit 1; fi; \
	$$pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt; \
	$$pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	touch $(STAMP)

lock: ## pin the newest versions that pyproject.toml allows
	@$(FIND_UV); \
	if [ -z "$$uv" ]; then echo "make lock needs uv. Install it: pip install uv" >&2; exit 1; fi; \
	"$$uv" pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml -o requirements.txt
