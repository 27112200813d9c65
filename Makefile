# What a developer does here, one target each; `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PULP := .cache/pulp-venv
INSTALLED := .cache/installed-venv
IMAGE_BASE := .cache/image-base.tar
SYSTEMD_BASE := .cache/systemd-base.tar
# libatomic1 is for the Node.js that drives the browser.
BROWSER := chromium fonts-dejavu-core libatomic1
SEED ?= 7
SPEED ?= 1
EXPORTER_PORT ?= 9926
KILLS ?= 200
TASKS ?= 1000

.DEFAULT_GOAL := help
.PHONY: help setup demo stack test check format rules dashboards screenshots test-real test-image bench campaign-restart campaign-paging audit lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

$(VENV)/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/install-packages python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/ready ## Make the virtual environment, from the locked requirements

demo: setup ## Watch simulated systems: the exporter on http://localhost:9926, or EXPORTER_PORT
	$(BIN)/asynctask-exporter demo --seed $(SEED) --speed $(SPEED) --web.listen-address :$(EXPORTER_PORT)

stack: setup ## The demo with a real Prometheus and Alertmanager beside it
	scripts/install-packages prometheus prometheus-alertmanager
	SEED=$(SEED) SPEED=$(SPEED) scripts/stack

test: setup ## Run all checks and tests, set-up included
	scripts/install-packages prometheus prometheus-alertmanager openssl $(BROWSER) systemd postgresql
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest --numprocesses 2 tests/browser
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --ignore tests/browser

check: setup ## Format, lint, types, imports
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/asynctask-exporter --config.file config.example.yaml --config.check

format: setup ## Bring the code into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

rules: setup ## Write the alert and recording rules anew from their table
	$(BIN)/python -m prometheus.rules
	$(BIN)/python -m deploy.rules

dashboards: setup ## Write the Grafana dashboards' JSON anew from their Python
	$(BIN)/python -m grafana.build

$(PULP)/ready: requirements/pulp.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/install-packages python3-venv
	$(PYTHON) -m venv $(PULP)
	$(PULP)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/pulp.txt
	@touch $@

screenshots: setup ## Take the pictures of the live page anew, into docs/images
	scripts/install-packages $(BROWSER)
	$(BIN)/python -m tests.browser.screenshots

test-real: setup $(PULP)/ready ## Install a real Pulp 3 and poll it: real syncs, one failing, one cancelled
	scripts/install-packages postgresql
	$(BIN)/python -m pytest tests_real --override-ini timeout=1500 -s

$(IMAGE_BASE): tests_image/make-base
	scripts/install-packages debootstrap
	tests_image/make-base $@

$(SYSTEMD_BASE): tests_image/make-base
	scripts/install-packages debootstrap
	tests_image/make-base $@ systemd

test-image: setup $(IMAGE_BASE) $(SYSTEMD_BASE) ## Build the image without a container engine, run it, and the service by systemd; as root
	scripts/install-packages buildah iproute2
	$(BIN)/python -m pytest tests_image --override-ini timeout=600

$(INSTALLED)/ready: requirements/runtime.txt
	$(PYTHON) -m venv $(INSTALLED)
	$(INSTALLED)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@touch $@

bench: setup $(INSTALLED)/ready ## Measure, beside the peers and the limits; one part by PART=scrape
	$(BIN)/python -m bench $(PART)

campaign-restart: setup ## Kill the exporter KILLS times and compare its counters with the truth
	$(BIN)/python -m tests.campaigns.restart --kills $(KILLS)

campaign-paging: setup ## Follow TASKS tasks to the pager, both ways, through all sorts of trouble
	scripts/install-packages prometheus prometheus-alertmanager
	$(BIN)/python -m tests.campaigns.paging --tasks $(TASKS)

audit: setup ## Ask whether what is locked has known vulnerabilities; needs a service that answers
	scripts/audit $(AUDIT)

lock: setup ## Lock the requirements anew, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra fast pyproject.toml --output-file requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra fast --group dev pyproject.toml --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group build --output-file requirements/build.txt

clean: ## Remove what the other targets made
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
