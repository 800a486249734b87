# Each target sets up .venv by itself; `make demo` needs nothing but Python 3.11 or newer and make.
VENV := .venv
CUDA_VENV := .venv-cuda
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
  $$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow lint bench bench-long results gpu-check cuda-check rehearsal docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/decoct run --out runs/demo

# One thread a process: xdist shares the cores out, and more threads only fight for them.
test test-slow: export OMP_NUM_THREADS := 1
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal -m "not slow"

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/hooks/prose.py
	test ! -x $(BIN)/hadolint || $(BIN)/hadolint Dockerfile

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks train loader startup page roofline

# All of decoct on this machine's GPU, to docs/results/gpu.md, in ten minutes; ARGS="--device mps", or cpu for a dry run.
gpu-check: $(VENV)/.installed-test
	$(BIN)/python benchmarks/gpu_check.py $(ARGS)

bench-long: $(VENV)/.installed-test
	$(BIN)/python benchmarks train loader startup page roofline demo sre2l decoupled graphs labels layers selection metrics scheduling kills plan

# A page of docs/results, with its studies, tables and picture: make results NAME=pruning; started again, it goes on.
results: $(VENV)/.installed-test $(VENV)/.installed-bench
	$(BIN)/python benchmarks/results.py $(NAME)

# All of examples/imagenet1k.toml on a stand-in, to the page: at most half an hour on two cores.
rehearsal: $(VENV)/.installed-test
	$(BIN)/python benchmarks/rehearsal.py

# On the device "cuda" with neither GPU nor driver: fake tensors, and the CUDA build of torch, 5 GB in an environment of
# its own.
cuda-check: export OMP_NUM_THREADS := 1
# Fake tensors have no values that a compiler could try.
cuda-check: export TORCHDYNAMO_DISABLE := 1
cuda-check:
	$(MAKE) VENV=$(CUDA_VENV) $(CUDA_VENV)/.installed-diffusion
	$(CUDA_VENV)/bin/python benchmarks/devices/cuda_check.py

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(CUDA_VENV) runs site

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "decoct needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Stamps: .installed for the package, .installed-EXTRA for the package with an extra.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[$*]'
	@touch $@ $(VENV)/.installed
