# Copyright: (c) 2026, umbra contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
#   make demo    back up a fleet of live Windows servers (the laboratory's) and prove the copies
#   make test    everything that is checked, fast checks first
#
# Both make their own virtual environment in .venv and put the collection where Ansible finds it, below .build.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FOUND := .build/ansible_collections/umbra/vss
# pip keeps no cache: nothing is left outside this folder.
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONPATH := $(CURDIR)/.build:$(CURDIR)/lab/src
export RUFF_CACHE_DIR := $(CURDIR)/.build/ruff
export MYPY_CACHE_DIR := $(CURDIR)/.build/mypy
# one place for all that Ansible writes
export ANSIBLE_HOME := $(CURDIR)/.build/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build

.PHONY: demo test lint unit lab-test integration conformance fuzz setup clean
.DELETE_ON_ERROR:

demo: setup
	@$(BIN)/python demo/demo.py

test: setup lint
	@$(BIN)/python -m pytest tests/unit lab/tests tests/integration

lint: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@MYPYPATH=lab/src $(BIN)/mypy --no-error-summary -p vsslab
	@cd .build && ../$(BIN)/mypy --no-error-summary --config-file ../pyproject.toml \
	    -p ansible_collections.umbra.vss.plugins.plugin_utils -p ansible_collections.umbra.vss.plugins.action
	@echo "ruff and mypy: nothing to say"

unit: setup
	@$(BIN)/python -m pytest tests/unit

lab-test: setup
	@$(BIN)/python -m pytest lab/tests

integration: setup
	@$(BIN)/python -m pytest tests/integration

# New generated cases, many of them, for the parsers and codecs.
fuzz: setup
	@HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest tests/unit lab/tests/engine lab/tests/windows lab/tests/wire lab/tests/vss

# With the real PowerShell engine, where it is to be had: PSENGINE (its folder) and PSENGINE_TOOLS (that of session.py).
conformance: setup
	@$(BIN)/python -m pytest tests/conformance

setup: $(READY) $(FOUND)

$(FOUND):
	@mkdir -p $(@D) && ln -sfn ../../.. $@

$(READY): requirements.txt requirements-dev.txt lab/pyproject.toml demo/make-venv
	@PYTHON="$(PYTHON)" demo/make-venv $(VENV)
	@$(BIN)/pip install --quiet -r requirements.txt -r requirements-dev.txt -e ./lab
	@touch $@

clean:
	rm -rf .build .venv
