"""``python -m models.fraud``: make the fraud model again and write the files that are committed.

With ``--check`` nothing is written: it fails where a file differs from what would be.
"""

import argparse
import sys
import time

from models.fraud.build import Products, build


def main() -> int:
    """Build, then write or check; the exit status is 1 where a check found a difference."""
    parser = argparse.ArgumentParser(prog="python -m models.fraud", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check

    started = time.monotonic()
    products = build(lambda step: print(f"[{time.monotonic() - started:5.1f} s] {step}", flush=True))
    _print_figures(products)
    if not check:
        for path, content in products.files().items():
            path.write_bytes(content)
            print(f"wrote {path} ({len(content):,} bytes)")
        return 0
    different = products.different_files()
    for path in different:
        print(f"differs: {path}")
    return 1 if different else 0


def _print_figures(products: Products) -> None:
    metrics = products.metrics
    rows = {"this model": metrics, **metrics["compared"]["ours"]}
    print(f"{'':28}  AUC ROC  average precision  card precision@100")
    for name, row in rows.items():
        print(f"{name:28}  {row['auc_roc']:7.4f}  {row['average_precision']:17.4f}  {row['card_precision_100']:18.4f}")


if __name__ == "__main__":
    sys.exit(main())
