# Every target sets itself up: a virtual environment in .venv, and parts that are built once into a cache folder.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help demo check test durations nightly faults lint environment environment-down benchmark proof generate docs lock sbom audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

demo: .venv/.installed ## the main job on a real cluster and broker, with a picture at the end (DEMO=--keep keeps them)
	$(BIN)/python -m tests.demo $(DEMO)

check: lint ## lint, and every test that needs no cluster and no broker (TESTS=tests/core for some of them)
	@$(BIN)/python -m tests.prepare --check $(TESTS)
	$(BIN)/pytest --numprocesses logical -m "not real" $(TESTS)

test: lint ## every test, on real clusters and brokers that it starts (TESTS=tests/contracts for some of them)
	@$(BIN)/python -m tests.prepare $(TESTS)
	$(BIN)/pytest --numprocesses auto $(TESTS)

durations: .venv/.installed ## write docs/test-durations.md from the last run of the whole suite
	$(BIN)/python -m tests.durations

nightly: .venv/.installed ## every test with the heavy ones in full size, then 200 faults
	@$(BIN)/python -m tests.prepare
	FULL=1 $(BIN)/pytest --numprocesses auto
	$(BIN)/python -m tests.faults.nightly $(FAULTS)

faults: .venv/.installed ## inject 200 faults into real worlds under load, nightly (FAULTS="--seed 7" for others)
	$(BIN)/python -m tests.faults.nightly $(FAULTS)

lint: .venv/.installed ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

environment: ## start the real cluster and broker, or use the caller's; writes .environment/env
	$(PYTHON) -m tests.environment up

environment-down: ## stop all that `make environment` started
	$(PYTHON) -m tests.environment down

benchmark: .venv/.installed environment ## measure what the docs claim
	$(BIN)/python -m benchmarks

proof: .venv/.installed ## play all simulated loads against all rivals; needs no environment
	$(BIN)/python -m benchmarks proof

generate: .venv/.installed ## regenerate what is generated: CRDs and reference pages
	$(BIN)/kafka-consumer-scaler crd > deploy/crd.yaml
	$(BIN)/kafka-consumer-scaler crd --helm > charts/kafka-consumer-scaler/templates/crd.yaml
	$(BIN)/kafka-consumer-scaler crd --markdown > docs/reference/resource.md
	$(BIN)/python -m kafka_consumer_scaler.telemetry.reference > docs/reference/metrics.md
	$(BIN)/python -m tests.charts.values_reference > docs/reference/values.md
	$(BIN)/python -m kafka_consumer_scaler.cli.reference > docs/reference/commands.md
	$(BIN)/python -m kafka_consumer_scaler.api.reasons_reference > docs/reference/reasons.md
	$(BIN)/python -m tests.docs.core_reference > docs/reference/core.md

docs: .venv/.installed ## build the documentation as a site in site/; a broken link or anchor fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

lock: ## pin the dependencies anew, with hashes
	uv pip compile --generate-hashes --universal --python-version 3.11 --no-header --no-annotate -U \
	  pyproject.toml -o requirements.lock
	uv pip compile --generate-hashes --universal --python-version 3.11 --no-header --no-annotate --extra aws \
	  -c requirements.lock pyproject.toml -o requirements-aws.lock
	uv pip compile --generate-hashes --universal --python-version 3.11 --no-header --no-annotate --all-extras \
	  -c requirements-aws.lock pyproject.toml -o requirements-dev.lock

sbom: .venv/.installed ## write dist/sbom.cdx.json: every package of the image, with its version and hashes
	@mkdir -p dist
	PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
	  --output-reproducible --of JSON -o dist/sbom.cdx.json

audit: .venv/.installed ## ask for known vulnerabilities of the locks; 1: there are some, 3: it could not be learned
	$(BIN)/python -m tests.supply.audit requirements.lock requirements-dev.lock

.venv/.installed: requirements-dev.lock pyproject.toml
	@echo "setting up .venv ..."
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean: environment-down ## remove the environment and the virtual environment
	rm -rf .venv
