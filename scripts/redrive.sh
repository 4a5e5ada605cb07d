#!/bin/sh
# scripts/redrive.sh local|dev|prod [logical id]: dead letters back to work, in the stack that samconfig.toml names so.
set -eu
cd "$(dirname "$0")/.."
case $1 in
  local)
    environment=$(ls .local/env .local/run-*/env 2>/dev/null | head -n 1)
    if [ -z "$environment" ]; then
      echo "Nothing runs here. Start it with make up, or name a stack on AWS: make redrive ENV=dev" >&2
      exit 1
    fi
    . "./$environment"
    stack=backbone
    ;;
  *) stack=backbone-$1 ;;
esac
exec .venv/bin/python -m local.redrive --stack-name "$stack" --queue "${2:-}"
