#!/bin/sh
# Format, style, types, template. Says what it checks, stops at the first that fails.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin

say() { echo "· $*"; }

# The folders among "$@" that hold Python files: mypy refuses an empty one.
with_python() {
  for folder in "$@"; do
    if [ -n "$(find "$folder" -name '*.py' 2>/dev/null | head -n 1)" ]; then echo "$folder"; fi
  done
}

say "format"
$bin/ruff format --quiet --check . || { echo "make format puts it right" >&2; exit 1; }
say "style"
$bin/ruff check --quiet .
# One function at a time: their modules have plain names, as on AWS, where each is alone.
for function in functions/*/; do
  say "types: $function"
  $bin/mypy --no-error-summary "$function" layers/backbone/backbone
done
for folder in $(with_python local models evaluation documents tests benchmarks); do
  say "types: $folder"
  $bin/mypy --no-error-summary "$folder"
done
say "template.yaml"
if ! said=$($bin/sam validate --lint --region eu-central-1 2>&1); then
  echo "$said" >&2
  exit 1
fi
