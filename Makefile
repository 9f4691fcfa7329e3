# `make demo` and `make test` do all the set-up on a fresh machine; `make check` is what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard workers/native/*.c workers/native/*.h) setup.py
READY := $(VENV)/ready

.PHONY: demo test check lint types imports docs requirements clean

demo: $(READY)
	$(BIN)/goldenbench demo

test: $(READY)
	$(BIN)/python -m pytest

# The storms of docs/reliability.md, then the planted defects that they have to catch; it says there how long that takes.
chaos: $(READY)
	$(BIN)/python -m tests.chaos campaign
	$(BIN)/python -m tests.chaos.defects

check: lint types imports test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

# The REST reference, from the app's own description; run after changing a route.
docs: $(READY)
	GOLDENBENCH_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/service/test_rest_reference.py

# The pins of every dependency, with hashes; run after changing those of pyproject.toml.
requirements: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra test --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --upgrade -q -o requirements.txt

$(READY): requirements.txt pyproject.toml $(NATIVE)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "goldenbench needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info var
	rm -f workers/native/*.so
