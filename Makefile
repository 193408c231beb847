# Two commands: `make demo` and `make test`. Each sets up what it needs by itself.
SHELL := /bin/bash
PYTHON ?= python3
READY := .venv/.ready
.PHONY: demo test slow check clean

demo: $(READY)
	@.venv/bin/libertas demo $(ARGS)

test: $(READY)
	@scripts/test $(ARGS)

check: $(READY)
	@scripts/check

# torch comes first and alone: a looser request would fetch gigabytes of CUDA packages.
$(READY): pyproject.toml constraints.txt hatch_build.py $(wildcard libertas/kernel/*.[ch])
	@echo "setting up .venv (once, a few minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "libertas needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	@.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
