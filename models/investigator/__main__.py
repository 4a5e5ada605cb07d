"""``python -m models.investigator``: make the light profile's investigator again and write what is committed.

With ``--check`` nothing is written: it fails where a file differs from what would be.
"""

import argparse
import json
import sys
import time

from models.investigator.build import build


def main() -> int:
    """Build, then write or check; the exit status is 1 where a check found a difference."""
    parser = argparse.ArgumentParser(prog="python -m models.investigator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check

    started = time.monotonic()
    products = build(lambda step: print(f"[{time.monotonic() - started:5.1f} s] {step}", flush=True))
    print(json.dumps(products.metrics, indent=2))
    if not check:
        for path, content in products.files().items():
            path.write_bytes(content)
            print(f"wrote {path} ({len(content):,} bytes)")
        return 0
    different = products.different_files()
    for path in different:
        print(f"differs: {path}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
