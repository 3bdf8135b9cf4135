# Everything a user or a contributor types. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
RUN := $(VENV)/bin/python

# make demo RELEASE=trixie FILE_SYSTEM=ext4 FINAL_ACTION=poweroff MEMORY_MIB=4096; `python -m lab.demo --help` explains.
DEMO_OPTIONS = $(if $(RELEASE),--release '$(RELEASE)') $(if $(FILE_SYSTEM),--file-system '$(FILE_SYSTEM)') \
	$(if $(FINAL_ACTION),--final-action '$(FINAL_ACTION)') $(if $(MEMORY_MIB),--memory-mib '$(MEMORY_MIB)')

.DEFAULT_GOAL := help
.PHONY: help demo test check synth deploy faults bench docs sbom lock packages setup clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: setup packages ## Hang a real kernel and bring its vmcore to the (emulated) bucket
	$(RUN) -m lab.demo $(DEMO_OPTIONS)

test: packages check ## Everything, with the real guest
	$(RUN) -m pytest -m guest

check: setup ## Quick: lint, types, and the tests that need no guest
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(RUN) -m pytest -m "not guest" -n 2 --dist loadfile

synth: setup ## Write the CloudFormation template to cdk.out/
	$(RUN) app.py

deploy: setup node_modules/.stamp ## Deploy to the AWS account and Region of your credentials
	npx cdk deploy --app "$(RUN) app.py"

faults: setup ## Every documented error at every call, and 1,000 random schedules; writes results/faults.json
	FAULTS=all FAULT_SCHEDULES=1000 UPDATE_SNAPSHOTS=1 $(RUN) -m pytest -s tests/faults

bench: setup packages $(BENCH_VENV)/.stamp ## Measure against peers in the same run; writes results/bench/
	$(RUN) -m bench

docs: setup ## Generate docs/state-machines.md and docs/errors.md
	$(RUN) -m infra.tools.diagrams
	$(RUN) -m infra.tools.errors

sbom: setup ## Write the bill of materials of what the functions run to docs/sbom.cdx.json
	$(RUN) -m infra.tools.sbom

lock: setup ## Resolve the requirement files again, with hashes and without addresses
	requirements/lock.sh

setup: $(VENV)/.stamp .cache/bundle/.stamp

packages:
	@lab/install_packages.sh

$(VENV)/.stamp: requirements/bootstrap.txt requirements/dev.txt
	@# Debian splits venv and pip off its Python.
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || lab/install_packages.sh python3-venv
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(VENV)/bin/uv pip install --quiet --python $(RUN) --require-hashes -r requirements/dev.txt
	touch $@

$(BENCH_VENV)/.stamp: requirements/bench.txt $(VENV)/.stamp
	$(PYTHON) -m venv $(BENCH_VENV)
	$(VENV)/bin/uv pip install --quiet --python $(BENCH_VENV)/bin/python --require-hashes -r requirements/bench.txt
	touch $@

.cache/bundle/.stamp: lambdas/requirements.txt $(VENV)/.stamp
	$(RUN) -m infra.foundation.bundle
	touch $@

node_modules/.stamp: package-lock.json
	npm ci --silent
	touch $@

clean: ## Remove what the other targets made (the guest image too)
	rm -rf $(VENV) $(BENCH_VENV) .cache cdk.out node_modules results/latest results/bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
