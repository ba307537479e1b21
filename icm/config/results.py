"""Kinds of results; here, so that the command line's help need not wait for torch."""

from typing import Literal, NamedTuple, get_args

Format = Literal["png", "webp", "jpeg"]
"""Of result files; PNG alone has 16 bits, JPEG no transparency."""
FORMATS: dict[Format, str] = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}
"""Formats of result files, each with the ending of its names."""

SAVE_KINDS = ("alpha", "cutout", "trimap", "guidance", "composite")

Absent = Literal["keep", "empty", "skip"]
"""What becomes of a picture that the object may be missing from: see `FinishConfig.absent`."""
ABSENT: tuple[Absent, ...] = get_args(Absent)


class Knob(NamedTuple):
    """A number that a person may choose."""

    default: float
    least: float
    most: float
    words: str


ADJUSTMENTS = {
    "drop_islands": Knob(0, 0, 1, "islands smaller than this share of the largest piece go"),
    "fill_holes": Knob(0, 0, 1, "holes up to this share of the object's area are filled"),
    "edge_shift": Knob(0, -50, 50, "pixels by which the edge moves out, or in where negative"),
    "feather": Knob(0, 0, 100, "pixels over which the edge is softened"),
    "foreground": Knob(1, 0, 1, "strength of foreground colour estimation; 0: the picture's own"),
}
"""Numbers of `icm.config.adjust.Adjustment`; each default changes nothing."""
EXPORT = {
    "quality": Knob(90, 1, 100, "of JPEG and WebP colours; 100 makes WebP lossless"),
    "margin": Knob(0, 0, 4096, "pixels around the object, which results are then cut to"),
}
"""Whole numbers of `icm.config.export.Export`; format, canvas and bits are choices."""
MOST_CANVAS = 16383  # pixels a side; WebP holds no more
OBJECTS = ("all", "largest")
