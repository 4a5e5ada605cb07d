"""The fraud model's workshop: simulate a world, compute features, train, evaluate, export.

Nothing in here runs in Lambda. The names of features, profiles and transactions are the scoring function's own
modules, imported plainly as they are there; this line makes that work for `python -m models.fraud` too.
"""

import sys
from pathlib import Path

SCORE_TRANSACTIONS = Path(__file__).resolve().parents[2] / "functions" / "score_transactions"

if str(SCORE_TRANSACTIONS) not in sys.path:
    sys.path.append(str(SCORE_TRANSACTIONS))
