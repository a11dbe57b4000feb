# AlignCap: `make demo` captions the example recordings, `make test` runs the tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
AUDIO  ?= examples
UV     ?= uv
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq install

RECENT := import sys; v = sys.version_info; sys.exit(v < (3, 10) and "AlignCap needs Python 3.10 or later, not %d.%d; choose with: make install PYTHON=python3.12" % v[:2])

.PHONY: help install demo test lint format docs lock clean
.DEFAULT_GOAL := help

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

install: $(VENV)/.installed  ## make .venv with AlignCap and everything for development

# --no-deps, because pip would otherwise ask for a hash of PyTorch itself, of which there are several builds;
# `pip check` makes up for it. dev.txt comes first, because it pins what PyTorch depends on.
$(VENV)/.installed: pyproject.toml requirements/dev.txt requirements/torch.txt
	@$(BIN)/python -c '$(RECENT)' 2>/dev/null || { \
	  command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found; choose with: make install PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -c '$(RECENT)' && $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@echo "$(VENV): $$($(BIN)/python --version), installing (some minutes the first time)"
	@echo "  1/3 packages of requirements/dev.txt"
	@$(PIP) --no-deps --require-hashes -r requirements/dev.txt
	@echo "  2/3 PyTorch (skipped where this version is there; the largest part)"
	@$(PIP) -r requirements/torch.txt
	@echo "  3/3 AlignCap"
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip --disable-pip-version-check check >$(VENV)/check.txt || { cat $(VENV)/check.txt >&2; exit 1; }
	@touch $@

demo: install  ## caption the example recordings, or your own: make demo AUDIO="my.wav other.mp3"
	@$(BIN)/aligncap weights fetch
	@$(BIN)/aligncap caption $(AUDIO)

test: install  ## run the tests
	@$(BIN)/python -m pytest -q

lint: install  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: install  ## let ruff rewrite the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: install  ## build the documentation into site/ (its search needs a server: python -m http.server -d site)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

lock:  ## pin the packages of the extra `dev` anew (needs uv; delete requirements/dev.txt to upgrade them all)
	$(UV) pip compile --quiet --universal --python-version 3.10 --extra dev --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-package torch --constraints requirements/torch.txt \
	  --excludes requirements/not-pinned.txt --custom-compile-command 'make lock' \
	  --output-file requirements/dev.txt pyproject.toml

clean:  ## remove the virtual environment and caches of the tools
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis
