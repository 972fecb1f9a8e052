# Every target makes the environment it needs first; all of them can run again, in any order.
# Paths are relative, so the folder may have spaces in its name.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
DEMO := runs/digits

.PHONY: help install demo test lint docs bench-smoke clean

help:
	@echo "make install  the environment in .venv, with the pushforward command in $(BIN)"
	@echo "make demo     train on handwritten digits, sample, evaluate (about five minutes)"
	@echo "make test     lint, types, documentation, examples and tests"
	@echo "make docs     the documentation in site/"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("pushforward needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

# The stamps remember which extras are there for which version of the project file.
.venv/.install: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[plots,data]'
	@touch $@

.venv/.dev: .venv/.install
	$(PIP) -e '.[plots,data,tensorboard,docs,dev]'
	@touch $@

install: .venv/.install

demo: .venv/.install
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pushforward train --recipe examples/digits.yaml --out $(DEMO) --resume
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pushforward evaluate $(DEMO)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.dev
	$(BIN)/mkdocs build --strict --quiet

test: lint docs
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2

clean:
	rm -rf .venv site build .pytest_cache .mypy_cache .ruff_cache
