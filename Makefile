# make          lists all targets
# make repro    builds everything: data, models, samples, evaluation, report
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 5000
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := 1
export HF_HUB_OFFLINE := 1
export GOMP_SPINCOUNT := 20000
export PYTHONWARNINGS := ignore
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

.PHONY: help setup quick repro verify renders tidy test types tests test-fast check ui studio listen sweep bench clean lock docs

help: ## list all targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F '\t' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(VENV)/ready ## make .venv from requirements.lock

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "Python's venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

quick: setup ## train a small model for a minute and render its first pieces
	python -m ostinato.execution.repro encode@bach-grid
	@python pipelines/train.py model=lstm/small encoding=bach-grid training.steps=150 training.validate_every=150 out=outputs/quick
	@python pipelines/generate.py weights=outputs/quick bars=8 n=2 formats=[mid,mp3,png] out=renders/quick overwrite=true

repro: setup ## everything: data, models, samples, metrics, report; independent stages side by side
	python -m ostinato.execution.repro
	@python pipelines/render.py
	@python -m ostinato.execution.verify || true
	@echo "look next at: report/index.html (open it in a browser), renders/ (sound and pictures), make ui (all runs)"

verify: setup ## rebuild without caches in a clean clone and compare with the committed dvc.lock
	python -m ostinato.execution.verify --rebuild

$(VENV)/executors: $(VENV)/ready requirements-executors.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-executors.lock
	@touch $@

$(VENV)/docs: $(VENV)/ready requirements-docs.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-docs.lock
	@touch $@

docs: setup $(VENV)/docs ## build the documentation site into site/, with strict links
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet
	@echo "open site/index.html"

test: setup $(VENV)/executors $(VENV)/docs ## format, lint, types and all tests
	ruff format --check .
	ruff check .
	@$(MAKE) --no-print-directory -j 2 types tests

types:
	mypy

tests:
	python -m pytest -n 3 --dist worksteal # some tests wait for servers and for other processes

test-fast: setup ## some of all unit tests, in less than a minute: short ones, fewer cases and random pieces of each
	python -m pytest -n 2 --dist worksteal --hypothesis-profile fast -m "not slow and not starts and not long" tests/unit

check: setup ## format, lint and types only
	ruff format --check .
	ruff check .
	mypy

ui: setup ## MLflow with all runs: curves, pictures, sound and models; make ui PORT=5001 takes another port
	python pipelines/publish.py port=$(PORT)

listen: PORT = 8080
listen: setup ## a blind listening test of the default systems, to be opened in a browser
	python pipelines/listen.py port=$(PORT)

studio: setup ## a page in the browser to compose with the trained models; make studio PORT=8021 takes another port
	python pipelines/studio.py port=$(if $(filter file,$(origin PORT)),8020,$(PORT))

sweep: setup ## an example sweep: conf/sweep/learning_rate.yaml
	python pipelines/train.py +sweep=learning_rate

bench: setup ## training and sampling speed, compared with other implementations
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-bench.lock
	python -m benchmarks --case "batch 8, length 512" --name bench-training
	python -m benchmarks --case "length 256" --name bench-sampling
	python -m benchmarks --only music --name bench-music
	python -m benchmarks --only band --name bench-band
	python -m benchmarks.band --pieces 20

lock: ## write requirements.lock from the packages in .venv
	{ head -1 requirements.lock; $(BIN)/pip freeze --exclude-editable --all | grep -viE "^(pip|wheel)==" | sed "s,^\(torch==[0-9.]*\)+cpu,\1,"; } > requirements.new
	mv requirements.new requirements.lock

renders: setup ## make missing sound and pictures in renders/, for example after dvc pull
	python pipelines/render.py

tidy: setup ## list files of systems, encodings and datasets that params.yaml no longer has; asks before removing them
	python -m ostinato.execution.leftovers

clean: ## remove .venv, caches and renders/; asks before removing trial models and unfinished trainings
	rm -rf $(VENV) renders dvc_plots .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@if [ -d .cache ]; then find .cache -mindepth 1 -maxdepth 1 ! -name resume -exec rm -rf {} +; fi
	@found=; for place in outputs multirun .cache/resume; do \
	  if [ -n "$$(ls -A $$place 2>/dev/null)" ]; then found="$$found $$place"; fi; done; \
	if [ -n "$$found" ]; then \
	  echo "Trial models, sweeps and unfinished trainings are in:$$found"; \
	  answer=; read -r -p "Remove them too? [y/N] " answer; \
	  if [ "$$answer" = y ]; then rm -rf $$found; else echo "kept:$$found"; fi; fi
