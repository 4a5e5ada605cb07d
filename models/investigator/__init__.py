"""The workshop of the light profile's investigator: replay worlds, let the tools speak, train, judge.

Nothing in here runs in Lambda. What is learned from is what the functions' own modules say, imported plainly as there;
these lines make that work for ``python -m models.investigator`` too.
"""

import sys
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]

for _folder in ("functions/score_transactions", "functions/agent_tools", "layers/backbone"):
    if str(_PROJECT / _folder) not in sys.path:
        sys.path.append(str(_PROJECT / _folder))
