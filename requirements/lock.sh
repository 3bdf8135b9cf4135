#!/bin/bash
# Resolves every requirement file: pinned, with hashes, and naming no package index.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { .venv/bin/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url "$@"; }

for name in bootstrap dev bench ministack; do
    compile --python-version 3.11 "requirements/$name.in" -o "requirements/$name.txt"
done
# Installed on machines of others: any system, and any Python from 3.11.
compile --universal --python-version 3.11 requirements/deploy.in -o requirements/deploy.txt
compile --universal --python-version 3.11 requirements/analysis.in -o analysis/host_requirements.txt
# The functions run on Lambda's arm64 runtime, which brings boto3 and its dependencies itself.
compile --python-version 3.14 --python-platform aarch64-manylinux2014 \
    --no-emit-package botocore --no-emit-package python-dateutil --no-emit-package six --no-emit-package urllib3 \
    lambdas/requirements.in -o lambdas/requirements.txt
