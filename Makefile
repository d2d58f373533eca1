# Needs python3 (3.11 or newer) and make; everything else is installed into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(CURDIR)/$(VENV)/bin
TOOLS  := $(VENV)/.installed
DEMO   := build/file-digest
PEERS  := build/peers
STDLIB := $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
# The engine would render what tools have left in the template's folder.
RENDER := find '{{cookiecutter.project_slug}}' \( -name '.*_cache' -o -name __pycache__ \) \
            -prune -exec rm -rf {} + && \
          $(BIN)/cookiecutter . --no-input --config-file .ci/cookiecutter.yaml --overwrite-if-exists

# Not every user has a home that can be written to.
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv

.PHONY: help demo render test test-all pythons lint example docs names bench choosing soak clean
.DEFAULT_GOAL := help

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 16

demo: render ## render with default answers and run the service over Python's standard library
	@echo "$$(find $(STDLIB) -type f | wc -l) files are there:"
	cd $(DEMO) && .venv/bin/file-digest run --log-level DEBUG $(STDLIB)
	@echo 'The first lines of the log, one file for all processes:'
	head -n 10 $(DEMO)/logs/file-digest.log
	@echo 'A second run finds nothing left to do:'
	cd $(DEMO) && .venv/bin/file-digest run $(STDLIB)
	cd $(DEMO) && .venv/bin/file-digest status

render: $(TOOLS) ## render and install build/file-digest (ANSWERS="execution_model=pool ci=none")
	rm -rf $(DEMO)
	$(RENDER) --output-dir build $(ANSWERS)
	$(BIN)/uv venv --quiet --python $(BIN)/python $(DEMO)/.venv
	$(BIN)/uv pip install --quiet --python $(DEMO)/.venv/bin/python --editable $(DEMO)

test: $(TOOLS) ## test the template and run what it generates, in some twenty minutes
	$(BIN)/pytest -n 2 --dist loadgroup

test-all: $(TOOLS) ## run every test, with each execution model, in an hour
	$(BIN)/pytest -n 2 --dist loadgroup -m "" --hypothesis-profile thorough

pythons: $(TOOLS) ## run the generated tests on every Python at hand (PYTHONS="python3.12 ..." NEWER=build/newer ARGS="-m faults")
	.ci/pythons $(BIN)/cookiecutter $(ARGS)

lint: $(TOOLS) ## check the template's own Python
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

example: $(TOOLS) ## render example/ again
	rm -rf example/file-digest
	$(RENDER) --output-dir example

docs: $(TOOLS) ## write into docs/ what the examples and the timeline show now
	UPDATE_DOCS=1 $(BIN)/pytest -q tests/test_docs.py tests/test_timeline_browser.py

names: $(TOOLS) ## write into dependencies.txt what a project may not be called because of them
	UPDATE_NAMES=1 $(BIN)/pytest -q tests/test_names.py -k dependency

bench: $(PEERS)/.installed ## measure side by side with the peers (QUICK=1: in four minutes)
	$(PEERS)/bin/python -m benchmarks $(if $(QUICK),--size quick --output build/bench)

choosing: $(PEERS)/.installed ## measure the execution models and write docs/choosing.md
	$(PEERS)/bin/python -m benchmarks.choosing

soak: $(TOOLS) ## kill workers and the listener under load for a long time
	$(BIN)/python -m benchmarks.soak

clean: ## remove what the targets above made
	rm -rf $(VENV) .cache build

# Debian keeps ensurepip in a package of its own (python3-venv); pip can fill a venv without it.
$(TOOLS): pyproject.toml
	$(PYTHON) -m venv $(VENV) || { \
	  $(PYTHON) -m venv --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

$(PEERS)/.installed: benchmarks/requirements.txt $(TOOLS)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS)
	$(BIN)/uv pip install --quiet --python $(PEERS)/bin/python -r benchmarks/requirements.txt
	touch $@
