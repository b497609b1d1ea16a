# `make help` lists what there is.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ONLY   ?=
# Two workers suit two cores: most of a test's time is spent in the servers.
JOBS   ?= 2
PYTEST_ARGS ?=
LOCKS  := api lambda workers migrations client local dev
# What can't stand beside the rest, each in a folder of its own.
TOOLS  := kubernetes checkov sam audit secrets sbom
# Groups of pyproject.toml: what images are made with and of, besides the project.
GROUPS := build temporal reload runtime
IMAGES := api worker migrate cli lambda temporal
ENGINE ?= docker
TAG    ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
LOCK    = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help install demo up test soak bench coverage check alerts goldens policy secrets audit lambda-check lambda-deploy images image-test lambda-zip lambda-test format lock docs manifests release reset clean histories \
	kind-up deploy e2e kind-down

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 15

install: $(VENV)/.installed ## make the environment in .venv, from the locked requirements

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is %s: make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "this Python lacks venv: apt install python3-venv, or make PYTHON=/path/to/another" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## place one order and follow it until it is delivered
	@$(BIN)/orders demo

up: install ## run the whole system here until Ctrl-C
	@$(BIN)/orders up

test: install ## run the tests; ONLY=workflows (unit, activities, database, api, …) runs a part
	@paths=$$($(BIN)/python -m tests.parts $(ONLY)) || exit 2; \
		$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $$paths $(PYTEST_ARGS)

soak: install ## ten minutes of load with 200 listeners; the figures go into docs/performance.md
	$(BIN)/python -m benchmarks.soak --report docs/performance.md

bench: install ## what a start of the function costs, and what telling of itself costs the system; the figures go into docs/performance.md
	$(BIN)/python -m benchmarks.cold_start --report docs/performance.md --imports docs/cold-start.txt
	$(BIN)/python -m benchmarks.tracing --report docs/performance.md

coverage: install ## run the tests and say which lines none of them reaches
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --cov --cov-report=term-missing:skip-covered

check: install ## lint, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

histories: install ## keep histories of all that can become of an order, made by today's code, and what it decides in the older ones
	$(BIN)/python -m tests.replay

alerts: install ## check the alert rules and run their tests, by promtool
	$(BIN)/python -m tests.promtool

goldens: install ## write anew what the chart makes of its values files, which the tests compare
	$(BIN)/python -m tests.deploy.golden --write

policy: install ## check what the chart makes, and the Dockerfile, by checkov, which gets an environment of its own
	$(BIN)/python -m tests.policy

secrets: install ## look for secrets in the files and in all that git remembers, by Kingfisher, in an environment of its own
	$(BIN)/python -m tests.leaks

audit: install ## look the locked packages up among the known vulnerabilities, by pip-audit, in an environment of its own
	$(BIN)/python -m tests.advisories

lambda-check: install ## check the templates of the function, by cfn-lint and aws-sam-translator, in an environment of their own
	$(BIN)/python -m tests.sam

lambda-deploy: ## deploy the function: TO=dev, or another environment of infra/lambda/samconfig.toml; needs sam
	@$(PYTHON) -m infra.lambda_deploy $(TO)

images: ## build the images; ENGINE=podman builds them by another engine, TAG=… tags them otherwise
	@for image in $(IMAGES); do \
		$(ENGINE) build --target $$image --tag order-lifecycle-$$image:$(TAG) --build-arg REVISION=$$(git rev-parse HEAD) . || exit 1; \
	done
	@$(ENGINE) images --filter reference='*order-lifecycle-*:$(TAG)'

image-test: install ## build the images and run them against real servers; ENGINE=podman
	@CONTAINER_ENGINE=$(ENGINE) $(BIN)/python -m tests.images.engine
	CONTAINER_ENGINE=$(ENGINE) $(BIN)/python -m pytest tests/images $(PYTEST_ARGS)

lambda-zip: install ## make the archives for AWS Lambda in dist/lambda, for x86_64 and arm64
	$(BIN)/python -m infra.lambda_zip

lambda-test: install ## make the archives, and run the function in AWS's own runtime and the API's tests through it
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --door lambda tests/function tests/api $(PYTEST_ARGS)

format: install ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## write the generated parts of the documentation
	$(BIN)/python -m cli.settings_table
	$(BIN)/python -m cli.lifecycle_pictures
	$(BIN)/python -m cli.chart_values
	$(BIN)/python -m api.openapi

manifests: install ## render the chart into infra/k8s/base, for kustomize
	$(BIN)/python -m infra.manifests

# These need docker, kind, helm and kubectl, and nothing of this environment.
kind-up: ## make a cluster with PostgreSQL, Temporal and a collector, by kind; KIND_IMAGE=… another Kubernetes
	@$(PYTHON) -m infra.kind up

deploy: ## build the images, and install or upgrade the system on that cluster: http://127.0.0.1:8080
	@$(PYTHON) -m infra.kind deploy

e2e: ## all of it: a cluster, a release, an upgrade under running orders, and nothing left
	@$(PYTHON) -m infra.e2e

kind-down: ## delete that cluster, with its data
	@$(PYTHON) -m infra.kind down

release: docs ## freeze the API's description as that of a release, with which the next ones are compared
	cp docs/openapi.json docs/openapi-released.json

lock: install ## resolve the requirements anew, with hashes and without addresses
	@for extra in $(LOCKS); do \
		$(LOCK) --extra $$extra --output-file requirements/$$extra.txt pyproject.toml || exit 1; \
	done
	@for tool in $(TOOLS); do \
		$(LOCK) $$(test $$tool != kubernetes || echo --no-deps) --output-file requirements/$$tool.txt requirements/$$tool.in || exit 1; \
	done
	@for group in $(GROUPS); do \
		$(LOCK) --constraint requirements/dev.txt --group $$group --output-file requirements/$$group.txt || exit 1; \
	done

reset: ## delete the data of the local system, after asking
	@$(BIN)/orders reset

clean: ## delete the environment and all caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
