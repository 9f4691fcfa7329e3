# `make demo` and `make test` do all the set-up on a fresh machine; `make check` is what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard workers/native/*.c workers/native/*.h) setup.py
READY := $(VENV)/ready

TESTS := test-science test-service test-commands test-processes test-storms
COMMANDS := $(wildcard tests/acceptance/test_commands*.py) tests/acceptance/test_docs.py tests/acceptance/test_extending.py

.PHONY: demo test $(TESTS) chaos fuzz check lint types imports security audit docs requirements clean

demo: $(READY)
	$(BIN)/goldenbench demo

# OpenMP's idle threads spin, and four lanes on two cores took 15 % more processor time for it.
$(TESTS): export OMP_WAIT_POLICY = passive

# Side by side: the tests of whole processes mostly wait.
test: $(READY)
	+$(MAKE) --no-print-directory --output-sync=target $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs=5) $(TESTS)

test-science: $(READY)
	$(BIN)/python -m pytest tests/studies tests/workers

test-service: $(READY)
	$(BIN)/python -m pytest --ignore=tests/acceptance --ignore=tests/chaos --ignore=tests/cluster --ignore=tests/studies --ignore=tests/workers

test-commands: $(READY)
	$(BIN)/python -m pytest $(COMMANDS)

test-processes: $(READY)
	$(BIN)/python -m pytest tests/acceptance $(addprefix --ignore=,$(COMMANDS))

test-storms: $(READY)
	$(BIN)/python -m pytest tests/chaos tests/cluster

# The storms of docs/reliability.md, then the planted defects that they have to catch; it says there how long that takes.
chaos: $(READY)
	$(BIN)/python -m tests.chaos campaign
	$(BIN)/python -m tests.chaos.defects

# Requests and histories of studies that nobody wrote down, in the counts of docs/security.md.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --cases 10000
	GOLDENBENCH_FUZZ_EXAMPLES=300 $(BIN)/python -m pytest -q tests/service/test_life_cycle_machine.py

# The types beside the tests, which leave a little of two processors.
check: lint imports security
	+$(MAKE) --no-print-directory --output-sync=target --jobs=6 types test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

security: $(READY)
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml service studies workers setup.py

# Known vulnerabilities of what is pinned; asks a service on the internet, and fails where it cannot.
audit: $(READY)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements.txt

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
