"""Rows of the paper's tables, to stand beside ours. *In-Context Matting*, CVPR 2024.

Numbers as printed in the paper (arXiv 2403.15789) for one reference per group.
"""

from __future__ import annotations

from dataclasses import dataclass

from icm.research.evaluation.tables import Table


@dataclass(frozen=True)
class PublishedRow:
    """One method on one benchmark; SAD, Grad and Conn are divided by 1000."""

    method: str
    given: str
    mse: float
    sad: float
    grad: float
    conn: float


ONE_MASK = "one mask per group"
PUBLISHED: dict[str, tuple[PublishedRow, ...]] = {
    "ICM-57": (
        PublishedRow("IconMatting", ONE_MASK, 0.0081, 19.12, 18.65, 11.21),
        PublishedRow("SegGPT", ONE_MASK, 0.0198, 38.81, 28.61, 18.61),
        PublishedRow("SEEM", ONE_MASK, 0.0292, 64.28, 37.54, 23.64),
        PublishedRow("ViTMatte", "a trimap per image", 0.0030, 16.16, 14.28, 11.14),
        PublishedRow("MGM", "a mask per image", 0.0341, 84.25, 61.84, 30.21),
        PublishedRow("AIM", "nothing", 0.0265, 65.07, 55.56, 25.74),
    ),
    "AIM-500": (
        PublishedRow("IconMatting", ONE_MASK, 0.0062, 18.65, 15.51, 10.98),
        PublishedRow("SegGPT", ONE_MASK, 0.0391, 42.65, 41.95, 26.69),
        PublishedRow("SEEM", ONE_MASK, 0.0425, 114.2, 74.5, 74.3),
        PublishedRow("ViTMatte", "a trimap per image", 0.0038, 18.79, 14.22, 12.47),
        PublishedRow("MGM", "a mask per image", 0.0268, 71.91, 23.37, 21.97),
        PublishedRow("AIM", "nothing", 0.0183, 48.09, 47.58, 21.74),
    ),
}

DIFFERENCES = (
    "From the paper, not measured here. Its numbers come from other pictures than the validation "
    "sets above, so they say nothing of these unless the benchmark itself was evaluated. Protocol: "
    "the paper draws one reference per group; ours takes each member in turn, or averages several "
    "draws. The released code works on the central square at 768 x 768 and stretches alpha back; "
    "ours is measured on the whole picture at its own size, and SAD, Grad and Conn grow with the "
    "number of pixels. The paper does not name its region; ours are named in each column. Its Conn "
    "takes the background for the largest component where that is larger: compare it with "
    "'Conn (published)' only. ICM-57 contains a part of AIM-500."
)


def published_table(benchmark: str) -> Table:
    """The paper's rows for a benchmark."""
    rows = tuple(
        (row.method, row.given, *(f"{value:g}" for value in (row.mse, row.sad, row.grad, row.conn)))
        for row in PUBLISHED[benchmark]
    )
    columns = ("method", "input", "MSE", "SAD", "Grad", "Conn (published)")
    return Table(f"The paper's results on {benchmark}", columns, rows, DIFFERENCES)
