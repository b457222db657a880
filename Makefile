# The two commands are `make run` and `make test`; everything else is listed by `make help`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
SPOKEN := $(VENV)/.translated
CATALOGUES := $(wildcard webui/translations/*/LC_MESSAGES/messages.po)
DATA ?= var
FUZZ_S ?= 60
# Debian packages that the tests use as independent peers, and the command or file that shows each is there.
PEERS := dcmtk:storescu age:age openssl:openssl strace:strace orthanc:/usr/sbin/Orthanc orthanc-dicomweb:/usr/share/orthanc/plugins/libOrthancDicomWeb.so openssh-server:/usr/sbin/sshd chromium:chromium
# Two workers for two cores, a file at a time: peers and daemons leave most of a core idle while they wait for each other.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup catalogues peers run test check fmt lint type arch unit property integration simulation fault hostile browser fuzz test-long bench screenshots man lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(STAMP) $(SPOKEN) ## make .venv with everything pinned and hashed, and the pages' languages

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(SPOKEN): $(STAMP) $(CATALOGUES)
	$(BIN)/pybabel --quiet compile --directory webui/translations
	touch $@

catalogues: setup ## bring the catalogues of the pages' languages up to date with the pages' texts
	$(BIN)/pybabel --quiet extract --mapping webui/babel.cfg --keyword _ --keyword lazy_gettext --no-location --no-wrap --sort-output --output build/messages.pot webui
	for language in vi fr; do $(BIN)/pybabel --quiet update --init-missing --no-fuzzy-matching --ignore-obsolete --no-wrap --input-file build/messages.pot --output-dir webui/translations --locale $$language; done

peers: ## install the Debian peers the tests need, where this user may
	@missing=""; for peer in $(PEERS); do command -v $${peer#*:} >/dev/null || [ -e $${peer#*:} ] || missing="$$missing $${peer%%:*}"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "missing peers:$$missing (their tests skip; 'apt install$$missing' brings them)"; fi; fi

run: setup ## start the box on embedded defaults with a demo archive, in ./var
	$(BIN)/dicom-edge run --data $(DATA) --demo

test: setup peers ## everything: checks, then all tests
	$(MAKE) --no-print-directory lint type
	$(PYTEST) tests

check: setup lint type ## what must hold before a commit: lint, types, unit, property, architecture
	$(PYTEST) tests/unit tests/property tests/architecture

fmt: setup ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: setup ## ruff and the import rules
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

type: setup ## mypy, strict
	$(BIN)/mypy

arch: setup ## the rules of the house, as tests
	$(PYTEST) tests/architecture

unit: setup ## the unit tests
	$(PYTEST) tests/unit

property: setup ## the property tests
	$(PYTEST) tests/property

integration: setup peers ## the box between independent peers
	$(PYTEST) tests/integration

simulation: setup ## long outages on a virtual clock
	$(PYTEST) tests/simulation

fault: setup peers ## kills, full disks, bad networks, lost ledgers (KILLS=60)
	$(PYTEST) tests/fault

hostile: setup peers ## hostile peers and inputs, row by row
	$(PYTEST) tests/hostile

browser: setup peers ## the pages in a browser (LONG=1: both colours at both widths)
	$(PYTEST) tests/browser

fuzz: setup ## hostile bytes for every parser (FUZZ_S=60 seconds in all; FUZZ="--target prefix --seed 1")
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S) $(FUZZ)

test-long: setup peers ## the long forms: 1,000 kills, the whole outage, ten minutes of fuzzing
	$(MAKE) --no-print-directory fuzz FUZZ_S=600
	KILLS=1000 LONG=1 $(PYTEST) --timeout=7200 tests/fault tests/simulation tests/hostile tests/property/test_outbox_model.py

bench: PEERS := dcmtk:dcmsend orthanc:Orthanc
bench: setup peers ## measure against DCMTK, Orthanc and pynetdicom (BENCH=--quick)
	$(BIN)/python -m benchmarks $(BENCH)

screenshots: setup peers ## pictures of every page into docs/screenshots (SHOTS="home queue": only these)
	PYTHONPATH=. $(BIN)/python docs/make_screenshots.py $(SHOTS)

man: setup ## write the man pages to build/man
	$(BIN)/python docs/man.py build/man

lock: setup ## pin the dependencies again, with hashes (needs uv)
	uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -o requirements.lock
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -o requirements-dev.lock

clean: ## remove .venv, caches and the demo's data
	rm -rf $(VENV) $(DATA) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
