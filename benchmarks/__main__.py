"""``python -m benchmarks``: the transaction flow, measured."""

import sys

from benchmarks.transactions import main

sys.exit(main())
