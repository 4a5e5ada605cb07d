"""``python -m local <verb>``: the commands behind the Makefile's run, demo, up, down, status, logs and invoke."""

import sys
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
# The demo computes what the functions must decide, with their own modules.
sys.path[:0] = [str(_PROJECT / folder) for folder in ("functions/score_transactions", "layers/backbone")]

if __name__ == "__main__":
    from local.command_line import main

    sys.exit(main())
