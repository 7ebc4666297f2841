# Copyright: (c) 2026, umbra contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
#   make demo    back up a fleet of live Windows servers (the laboratory's) and prove the copies
#   make test    what is checked before anything else, fast checks first
#   make test-all  everything that is checked, as continuous integration does: make test, and what takes long
#   make crash   the crash table: every step of every transaction, times all that can befall it
#   make bench   what actions cost, beside what other modules send for the same job
#   make matrix  the whole suite with every version of Ansible in tests/matrix/versions.yml; MATRIX='2.16 2.20' chooses
#   make ansible-test   Ansible's own checks of a collection: its sanity tests, and the unit tests as it runs them
#   make declarations   500 sequences of declared snapshots, whatever others and Windows do meanwhile
#
# All make their own virtual environment in .venv and put the collection where Ansible finds it, below .build.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RELEASE := .build/release-tools
# Ansible's own tests keep their environments in the home folder; this is theirs
ANSIBLE_TEST_HOME ?= $(CURDIR)/.build/ansible-test/home
ANSIBLE_TEST_TREE := .build/ansible-test/ansible_collections/umbra/vss
FOUND := .build/ansible_collections/umbra/vss
# a file's tests stay together; each worker has a fleet of its own, and in integration tests they often wait for it
WORKERS ?= 2
FLEETS ?= 3
PYTEST := $(BIN)/python -m pytest
SPREAD := -n $(WORKERS) --dist loadfile
# These read what all the others have left.
LAST := $(sort $(wildcard tests/integration/test_zz_*.py))
FLEETWISE := -n $(FLEETS) --dist loadfile $(LAST:%=--ignore %)
# pip keeps no cache: nothing is left outside this folder.
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONPATH := $(CURDIR)/.build:$(CURDIR)/lab/src
export RUFF_CACHE_DIR := $(CURDIR)/.build/ruff
export MYPY_CACHE_DIR := $(CURDIR)/.build/mypy
# one place for all that Ansible writes
export ANSIBLE_HOME := $(CURDIR)/.build/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build

.PHONY: demo test test-all lint unit lab-test integration crash declarations conformance fuzz bench bench-lab build
.PHONY: release-check docs setup clean matrix matrix-smoke matrix-if-needed ansible-test
.DELETE_ON_ERROR:

demo: setup
	@$(BIN)/python demo/demo.py

test: setup lint
	@$(PYTEST) $(SPREAD) -m "not slow" tests/unit tests/machine lab/tests
	@rm -rf .build/tests
	@$(PYTEST) $(FLEETWISE) -m "not slow" tests/integration

# What is marked slow (it waits, or builds, or fetches), what looks at all that integration tests have sent, a sample of the
# crash table, and each version of Ansible for which what was tested no longer holds.
test-all: test
	@$(PYTEST) $(FLEETWISE) -m slow lab/tests tests/integration
	@$(PYTEST) $(LAST)
	@CRASH_EVERY=16 $(MAKE) --no-print-directory crash
	@$(MAKE) --no-print-directory matrix-if-needed

lint: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@MYPYPATH=lab/src $(BIN)/mypy --no-error-summary -p vsslab
	@cd .build && ../$(BIN)/mypy --no-error-summary --config-file ../pyproject.toml \
	    -p ansible_collections.umbra.vss.plugins.plugin_utils -p ansible_collections.umbra.vss.plugins.action
	@echo "ruff and mypy: nothing to say"

unit: setup
	@$(PYTEST) tests/unit

lab-test: setup
	@$(PYTEST) lab/tests

# The last files read what the laboratories of all the others traced.
integration: setup
	@rm -rf .build/tests
	@$(PYTEST) $(FLEETWISE) tests/integration
	@$(PYTEST) $(LAST)

# Prints the table, kept in .build; `make test-all` takes every so manieth step.
crash: setup
	@$(PYTEST) tests/crash

# Each version of Ansible has an environment of its own below .build/matrix, where the suites' output is, too. The newest
# needs a newer Python than Debian 12 has: tests/matrix/python gets it from Debian's mirror. What passed is written to
# tests/matrix/passed.json, with the digest of the files that make the difference; commit that.
matrix: setup
	@WORKERS=$(WORKERS) FLEETS=$(FLEETS) PYTHON="$(PYTHON)" $(BIN)/python tests/matrix/run.py $(MATRIX)

# The unit tests and three files of integration tests with each version.
matrix-smoke: setup
	@WORKERS=$(WORKERS) FLEETS=$(FLEETS) PYTHON="$(PYTHON)" $(BIN)/python tests/matrix/run.py --smoke $(MATRIX)

# Says that the matrix was run for these files, or runs matrix-smoke.
matrix-if-needed: setup
	@WORKERS=$(WORKERS) FLEETS=$(FLEETS) PYTHON="$(PYTHON)" $(BIN)/python tests/matrix/run.py --if-needed

# Of what is committed, less what is no part of the collection. It asks git which files there are, and the clone's git
# knows none below .build.
ansible-test: setup
	@rm -rf $(ANSIBLE_TEST_TREE) && mkdir -p $(ANSIBLE_TEST_TREE) "$(ANSIBLE_TEST_HOME)"
	@git archive HEAD -- . ':(exclude)lab' ':(exclude)demo' | tar x -C $(ANSIBLE_TEST_TREE)
	@git init --quiet $(ANSIBLE_TEST_TREE)
	@export HOME="$(ANSIBLE_TEST_HOME)" PATH="$(CURDIR)/$(BIN):$$PATH" && unset PYTHONPATH ANSIBLE_COLLECTIONS_PATH ANSIBLE_HOME && \
	    python="$$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" && cd $(ANSIBLE_TEST_TREE) && \
	    ansible-test sanity --venv --python "$$python" --exclude tests/ && \
	    ansible-test units --venv --python "$$python"

# The declarations' state machine over 500 sequences; `make test` runs some of them.
declarations: setup
	@SEQUENCES=500 $(PYTEST) tests/machine/test_declarations.py -s

# New generated cases, many of them, for the parsers and codecs.
fuzz: setup
	@HYPOTHESIS_PROFILE=search $(PYTEST) tests/unit lab/tests/engine lab/tests/windows lab/tests/wire lab/tests/vss

# With the real PowerShell engine, where it is to be had: PSENGINE (its folder) and, for the product's part, PSENGINE_TOOLS
# (that of session.py). Writes what the engine answers today, and lab/docs/conformance.md.
conformance: setup
	@CONFORMANCE=write $(PYTEST) lab/tests/conformance
	@$(PYTEST) tests/conformance

# The artefact for Galaxy, of what is committed.
build: setup
	@rm -rf .build/release && mkdir -p .build/release/ansible_collections/umbra/vss
	@git archive HEAD | tar x -C .build/release/ansible_collections/umbra/vss
	@$(BIN)/ansible-galaxy collection build --force --output-path .build/release .build/release/ansible_collections/umbra/vss

# What Galaxy and its users ask of a release; everything must pass without a warning.
release-check: build $(RELEASE)/.ready
	@cd .build/release/ansible_collections/umbra/vss && export PATH="$(CURDIR)/$(RELEASE)/bin:$$PATH" \
	    ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/.build/release" && \
	    reuse --root "$(CURDIR)" lint --lines && antsibull-changelog lint && \
	    antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self . && \
	    ansible-lint --offline -q && \
	    ansible-builder create -v 1 -f docs/examples/execution-environment.yml -c "$(CURDIR)/.build/release/context" && \
	    GALAXY_IMPORTER_CONFIG="$(CURDIR)/tests/galaxy-importer.cfg" python -m galaxy_importer.main \
	    "$(CURDIR)"/.build/release/umbra-vss-*.tar.gz

# The documentation site, .build/docs/build/html/index.html, without a warning and without a reference that leads nowhere.
docs: setup $(RELEASE)/.ready
	@$(BIN)/python docs/tables.py
	@PATH="$(CURDIR)/$(RELEASE)/bin:$$PATH" $(RELEASE)/bin/python docs/build_site.py .build/docs
	@echo ".build/docs/build/html/index.html"

$(RELEASE)/.ready: requirements-release.txt demo/make-venv
	@PYTHON="$(PYTHON)" demo/make-venv $(RELEASE)
	@env -u PYTHONPATH $(RELEASE)/bin/pip install --quiet -r requirements-release.txt
	@touch $@

setup: $(READY) $(FOUND)

$(FOUND):
	@mkdir -p $(@D) && ln -sfn ../../.. $@

$(READY): requirements.txt requirements-dev.txt lab/pyproject.toml demo/make-venv
	@PYTHON="$(PYTHON)" demo/make-venv $(VENV)
	@$(BIN)/pip install --quiet -r requirements.txt -r requirements-dev.txt -e ./lab
	@touch $@

# What the laboratory costs on this machine, beside what it may cost.
bench-lab: setup
	@$(BIN)/python lab/bench/run.py --json .build/bench-lab.json

# What actions cost, beside what other people's modules send for the same job; QUICK=1 for small fleets and one round.
bench: setup .build/bench-collections
	@$(BIN)/python tests/bench/run.py .build/bench $(if $(QUICK),--quick)

.build/bench-collections: requirements-bench.txt tests/bench/others.py
	@$(BIN)/pip install --quiet -r requirements-bench.txt
	@rm -rf $@ && $(BIN)/python tests/bench/others.py $@

clean:
	rm -rf .build .venv
