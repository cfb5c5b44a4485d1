# make demo   a fresh clone to an encrypted call, in a virtual environment of its own
# make test   the whole suite: tests, types, style, import contracts, real peers where they can run
# make fuzz   every mutation of every message, an hour of fuzzing led by coverage (MINUTES), ten
#             minutes of the compiled media kernel under sanitizers (KERNEL_SECONDS), and faults
#             planted in the modules that security rests on; make nightly is all that is long:
#             also every test on the other interpreters, branch coverage, FIPS mode over all, wheels
#             for other platforms, and the image, built and run (python -m tests.nightly --list)
# make check  style, types and the tests of what changed, in a minute and a half
# make man    manual pages of every command, in .cache/man
# make docs   the documentation as a site, in .cache/docs/index.html
# make home-assistant, make examples   the examples that need large packages of others
# make bench  every measured claim      make clean
#
# PYTHON     the interpreter (python3)
# PEERS      "install" lets `make test` install system packages for the real peers; so does CI
# SOFTPHONE_PEERS_CACHE   where the peers' root folder is kept (~/.cache/softphone-peers)

PYTHON ?= python3
MINUTES ?= 60
KERNEL_SECONDS ?= 600
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check docs man fuzz home-assistant examples nightly bench clean

demo: $(VENV)/installed
	$(BIN)/softphone demo

test: $(VENV)/installed-test
	$(BIN)/python -m tests.suite

check: $(VENV)/installed-test
	$(BIN)/python -m tests.check

docs: $(VENV)/installed-test
	$(BIN)/python -m sphinx -q -W -n --keep-going docs .cache/docs
	@echo "open .cache/docs/index.html"

man: $(VENV)/installed
	$(BIN)/python docs/_extensions/manual.py .cache/man

fuzz: $(VENV)/installed-test
	$(BIN)/python -m tests.fuzz.full
	$(BIN)/python -m tests.fuzz.coverage_guided --minutes $(MINUTES) --kernel-seconds $(KERNEL_SECONDS)
	$(BIN)/python -m tests.mutation --record

home-assistant: $(VENV)/installed-test
	$(BIN)/python -m tests.examples.environments home-assistant

examples: $(VENV)/installed-test
	$(BIN)/python -m tests.examples.environments programs

nightly: $(VENV)/installed-test
	$(BIN)/python -m tests.nightly --minutes $(MINUTES) --kernel-seconds $(KERNEL_SECONDS)

bench: $(VENV)/installed-test
	@set -e; for claim in $(wildcard bench/*/bench_*.py bench/*/soak_*.py); do echo "== $$claim"; $(BIN)/python "$$claim"; done

clean:
	rm -rf .venv .venv-* build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	PYTHON="$(PYTHON)" sh tests/venv.sh $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/installed
