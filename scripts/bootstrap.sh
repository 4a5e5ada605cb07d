#!/bin/sh
# Makes .venv hold what requirements/<name>.txt locks. Needs Python 3.13 with its own venv and pip, and nothing else.
#
#   scripts/bootstrap.sh run|dev|models     models: what `make models` adds to either
#
# Quick where nothing changed (a stamp holds the lock's hash); a half-made environment is made anew.
set -eu
cd "$(dirname "$0")/.."
name=${1:?usage: scripts/bootstrap.sh run|dev|models}
lock=requirements/$name.txt

is_python_313() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1; }

find_python() {
  for candidate in ${PYTHON:-} python3.13 python3 python "$HOME"/.pyenv/versions/3.13.*/bin/python3.13; do
    if is_python_313 "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "Python 3.13 was not found: it is the version that the Lambda functions run on." >&2
  echo "Install it (python.org, your package manager, or pyenv install 3.13), or name it: PYTHON=/path/to/python3.13 make ..." >&2
  exit 1
}

if [ -d .venv ] && ! is_python_313 .venv/bin/python; then
  echo "· .venv is broken or of another Python: making it anew" >&2
  rm -rf .venv
fi
if [ ! -x .venv/bin/python ] || [ ! -f .venv/.bootstrapped ]; then
  python=$(find_python)
  echo "· making .venv with $("$python" -V)" >&2
  rm -rf .venv
  "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
  touch .venv/.bootstrapped
fi

wanted=$(cksum <"$lock")
# What dev holds includes what run holds, so either stamp serves run.
for stamp in ".venv/.installed-$name" .venv/.installed-dev; do
  if [ "$name" = run ] || [ "$stamp" = ".venv/.installed-$name" ]; then
    if [ -f "$stamp" ] && grep -qx "$name $wanted" "$stamp"; then exit 0; fi
  fi
done

echo "· installing $(grep -c '==' "$lock") locked packages ($lock)" >&2
if ! .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --no-deps -r "$lock"; then
  echo "· uv could not (a private package index, perhaps): falling back to pip, which takes a minute longer" >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$lock"
fi
echo "$name $wanted" >".venv/.installed-$name"
if [ "$name" = dev ]; then echo "run $(cksum <requirements/run.txt)" >>.venv/.installed-dev; fi
