# Everything a checkout can do. Each target sets up what it needs; nothing outside this folder is touched, except
# that SoftHSM, Chromium, Prometheus, PgBouncer and python3-venv come through apt where allowed (.ci/apt-install).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
# Arguments for the tool behind a target: make test ARGS='-k dpop', make bench ARGS='--seconds 2 --rounds 1'.
ARGS ?=

.PHONY: help demo serve test test-clients bench lint proto constraints venv softhsm opencryptoki chromium prometheus systemd pgbouncer clean

help:
	@printf '%s\n' \
	  'make demo         run the whole story once, with file keys and with SoftHSM, and exit' \
	  'make serve        start a development gateway in ./var and keep it running' \
	  'make test         run every test; a skipped one fails' \
	  'make test-clients the clients in Go and TypeScript, their examples, the Helm chart; needs Go and Node.js' \
	  'make bench        measure throughput, latency, CPU and memory into bench/results.json' \
	  'make lint         formatting, lint, types, import directions, API rules, stale stubs' \
	  'make proto        regenerate the stubs in clients/python from protos/' \
	  'make constraints  pin the newest versions of every package anew' \
	  'make venv         only make .venv' \
	  'make clean        remove .venv and what the tools left; ./var stays'

# Installed again only when one of these files changes.
$(INSTALLED): pyproject.toml clients/python/pyproject.toml constraints.txt .ci/make-venv
	@.ci/make-venv

venv: $(INSTALLED)

softhsm:
	@.ci/need-softhsm

opencryptoki:
	@.ci/need-opencryptoki

chromium:
	@.ci/need-chromium

pgbouncer:
	@.ci/need-pgbouncer

prometheus:
	@.ci/need-prometheus

systemd:
	@.ci/need-systemd

demo: $(INSTALLED)
	@.ci/need-softhsm --optional
	@.venv/bin/countersign demo $(ARGS)

serve: $(INSTALLED)
	@.venv/bin/countersign dev $(ARGS)

# CI=true makes a skipped or expected-to-fail test a failure (tests/conftest.py). Ten thousand tests that start
# real processes meet a port taken or a stalled disk now and then: a test that fails is run once more, and the
# summary names it. Each processor runs files of its own; `make test ARGS='-n 0'` runs all of them in one process.
test: $(INSTALLED) softhsm opencryptoki chromium prometheus pgbouncer systemd
	@CI=true $(PYTHON) -m pytest -q -n logical --maxprocesses 4 --dist loadfile --reruns 1 $(ARGS)

# Not part of `make test`, which needs neither Go nor Node.js; .ci/run runs both.
test-clients: $(INSTALLED)
	@.ci/need-clients
	@CI=true COUNTERSIGN_TEST_CLIENTS=1 $(PYTHON) -m pytest -q tests/clients_other $(ARGS)

bench: $(INSTALLED)
	@.ci/need-softhsm --optional
	@$(PYTHON) -m bench.run $(ARGS)

lint: $(INSTALLED)
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet . \
	  || { .venv/bin/ruff format --check . | sed '$$d'; echo 'Run .venv/bin/ruff format . to mend them.'; exit 1; }
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/mypy --no-error-summary -p bench -p softhsm
	@.ci/quietly .venv/bin/lint-imports
	@$(PYTHON) protos/lint.py
	@$(PYTHON) protos/generate.py --check

proto: $(INSTALLED)
	@$(PYTHON) protos/generate.py

constraints:
	@.ci/make-constraints

clean:
	@rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache bench/results.json
	@rm -rf clients/typescript/node_modules clients/typescript/dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
