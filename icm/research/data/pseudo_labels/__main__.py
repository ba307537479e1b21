"""Makes pseudo-labels: `python -m icm.research.data.pseudo_labels DATA -o FOLDER`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import cv2

from icm.errors import IcmError
from icm.research.data.pseudo_labels.folder import Plan, make_pseudo_labels
from icm.research.data.pseudo_labels.photograph import encoder_reader


def main(words: list[str] | None = None) -> int:
    """Reads the call, labels, and prints what was kept; 2 where that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m icm.research.data.pseudo_labels",
        description="Masks for the photographs in DATA/unlabelled, found by the pretrained encoder "
        "and checked; train with --set pairs.pseudo_labels=FOLDER. The same call again goes on "
        "where it was interrupted.",
    )
    parser.add_argument("data", metavar="DATA", type=Path, help="folder of training pictures")
    parser.add_argument("-o", "--out", metavar="FOLDER", type=Path, required=True)
    parser.add_argument(
        "--photographs", type=int, default=Plan.photographs, help="of each category (%(default)s)"
    )
    parser.add_argument(
        "--keyed", type=int, default=Plan.keyed, help="of these, with a cut-out (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=Plan.seed)
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    plan = Plan(arguments.photographs, arguments.keyed, arguments.seed)
    try:
        rows = make_pseudo_labels(arguments.data, arguments.out, encoder_reader(), plan)
    except IcmError as error:
        print(f"pseudo_labels: {error}", file=sys.stderr)
        return 2
    kept, looked_at = sum(row.kept for row in rows), sum(row.photographs for row in rows)
    categories = sum(row.kept > 0 for row in rows)
    print(f"{kept} of {looked_at} photographs kept, in {categories} of {len(rows)} categories")
    return 0


if __name__ == "__main__":
    sys.exit(main())
