# MediaJira's Kafka backbone. `make` alone explains itself.
# Everything is installed into .venv; nothing has to be prepared by hand.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NATIVE := $(BIN)/python -m devops.native
# Settings that depend on no file of a developer's.
CHECK  := DEBUG=on MEDIAJIRA_ENV_FILE= DATABASE_URL= $(BIN)/python manage.py

EVENTS ?= 100000
BATCH  ?= 2000
RUNS   ?= 1
HOLD   ?=
SEED   ?= 1
FAULTS ?= 30
MODE   ?= at-least-once
ROUNDS ?= 500
LATENCIES ?= 400
TAKEOVERS ?= 3
MESSAGES ?= 5000

.DEFAULT_GOAL := help
.PHONY: help demo test check unit frontend services services-down up down storm storm-inbound mutants bench-relay bench-latency bench-capture bench-takeover bench-consume pictures wheel format clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/runtime ## Set up and run the main job: saves travel through an embedded broker to services
	@$(BIN)/python -m mediajira.demo $(DEMO)

test: $(VENV)/development ## Set up, start real services, pass every check and test (ARGS= for pytest)
	@$(MAKE) --no-print-directory check frontend
	$(NATIVE) run -- $(BIN)/pytest -n 4 --dist loadfile $(ARGS)

check: $(VENV)/development ## Only the static checks: ruff, mypy, import-linter, migrations, Django
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(CHECK) makemigrations --check --dry-run
	$(CHECK) check --fail-level WARNING

unit: $(VENV)/development ## Only the tests that need no service
	$(BIN)/pytest tests/unit $(ARGS)

frontend: frontend/node_modules/.installed ## The TypeScript client: install, check types, test (needs Node 20)
	cd frontend && npm test

services: $(VENV)/development ## Start Kafka, PostgreSQL and Redis without Docker; print their addresses
	@$(NATIVE) up && $(NATIVE) env

services-down: ## Stop what `make services` started and remove its data
	@$(NATIVE) down

up: ## Start everything in Docker (docker-compose.dev.yml)
	docker compose -f docker-compose.dev.yml up -d

down: ## Stop what `make up` started; data is kept
	docker compose -f docker-compose.dev.yml down

storm: $(VENV)/development ## Kill and freeze all parts while events flow, then compare (SEED=, EVENTS=, FAULTS=, MODE=)
	@MEDIAJIRA_NATIVE_DIR=$(CURDIR)/.native/storm $(NATIVE) run --native -- $(BIN)/python -m tests.storm.outbound \
		--seed $(SEED) --events $(EVENTS) --faults $(FAULTS) --mode $(MODE)

storm-inbound: $(VENV)/development ## The same for consumers, with poison, failures and duplicates (SEED=, EVENTS=, FAULTS=)
	@MEDIAJIRA_NATIVE_DIR=$(CURDIR)/.native/storm-inbound $(NATIVE) run --native -- $(BIN)/python -m tests.storm.inbound \
		--seed $(SEED) --events $(EVENTS) --faults $(FAULTS)

mutants: $(VENV)/development ## Make known mistakes in a copy; a named test must fail for each (ARGS= for names)
	@$(NATIVE) run -- $(BIN)/python -m tests.mutants $(ARGS)

bench-relay: $(VENV)/development ## The relay's speed beside a bare produce loop (EVENTS=, BATCH=, RUNS=, HOLD=1)
	@$(NATIVE) run -- $(BIN)/python -m benchmarks.relay --events $(EVENTS) --batch-size $(BATCH) --runs $(RUNS) $(if $(HOLD),--hold)

bench-capture: $(VENV)/development ## What publishing adds to saves and bulk_create (ROUNDS=)
	@$(NATIVE) run -- $(BIN)/python -m benchmarks.capture --rounds $(ROUNDS)

bench-latency: $(VENV)/development ## From commit to consumer on an idle system, beside Kafka alone (LATENCIES=)
	@$(NATIVE) run -- $(BIN)/python -m benchmarks.latency --events $(LATENCIES)

bench-takeover: $(VENV)/development ## How long a crash and a clean stop of a relay hold things up (TAKEOVERS=)
	@$(NATIVE) run -- $(BIN)/python -m benchmarks.takeover --rounds $(TAKEOVERS)

bench-consume: $(VENV)/development ## Handlers by way of the consumer beside the same handlers alone (MESSAGES=)
	@$(NATIVE) run -- $(BIN)/python -m benchmarks.consume --events $(MESSAGES)

pictures: $(VENV)/development ## Draw docs/pictures/ anew from benchmarks/results.json
	@$(BIN)/python -m benchmarks.pictures

wheel: $(VENV)/development ## Build kafka_integration alone as a wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

format: $(VENV)/development ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the environment, caches and data of native services
	-@test -x $(BIN)/python && $(NATIVE) down
	-@test -x $(BIN)/python && MEDIAJIRA_NATIVE_DIR=$(CURDIR)/.native/storm $(NATIVE) down
	-@test -x $(BIN)/python && MEDIAJIRA_NATIVE_DIR=$(CURDIR)/.native/storm-inbound $(NATIVE) down
	rm -rf frontend/node_modules $(VENV) .native .mypy_cache .ruff_cache .pytest_cache dist build

$(VENV)/runtime: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what MediaJira needs into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/development: requirements.txt requirements-dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what development needs into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/runtime

frontend/node_modules/.installed: frontend/package.json frontend/package-lock.json frontend/.npmrc
	@command -v npm >/dev/null || { echo "Install Node 20 or later, which brings npm; then try again."; exit 1; }
	@echo "Installing what the frontend needs into frontend/node_modules …"
	@cd frontend && npm ci --silent --ignore-scripts
	@touch $@
