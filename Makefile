# The commands of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON := $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
HOST ?= 127.0.0.1
PORT ?= 8000
export FLASK_APP := wsgi.py

.PHONY: help run test lint bench messages clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamps are as new as the last installation; a changed requirements file installs again.
.venv/.run-stamp: requirements.txt
	@echo "==> Python packages (once, a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.dev-stamp: requirements-dev.txt requirements.txt .venv/.run-stamp
	@echo "==> Python packages for tests"
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: .venv/.run-stamp ## set up, fill in the demo and serve (HOST=0.0.0.0 for phones)
	@exec $(PY) -m flask up --host $(HOST) --port $(PORT)

test: .venv/.dev-stamp ## run all tests: SQLite always, PostgreSQL and browser where they are there
	@$(PY) -m pytest $(or $(ARGS),-n auto --complete)

lint: .venv/.dev-stamp ## style, imports between rooms, types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@.venv/bin/lint-imports
	@$(PY) -m mypy

bench: .venv/.dev-stamp ## measure speed and size (benchmarks/)
	@$(PY) -m benchmarks

messages: .venv/.dev-stamp ## collect translatable strings of core and plugins into their catalogues
	@$(PY) -m flask messages

clean: ## remove caches and the virtual environment; data under var/ stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
