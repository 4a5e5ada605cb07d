#!/bin/sh
# Sets up what is missing, then becomes `python -m local <verb> ...`: run, demo, up, down, status, logs, invoke.
set -eu
cd "$(dirname "$0")/.."
# Where the time that the command takes is counted from: the set-up is part of it.
LOCAL_COMMAND_STARTED=$(date +%s.%N)
export LOCAL_COMMAND_STARTED
scripts/bootstrap.sh run
unset PYTHONDONTWRITEBYTECODE # each start would compile a thousand modules again
exec .venv/bin/python -m local "$@"
