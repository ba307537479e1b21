"""In-context image matting: mark an object once, get its alpha matte in any number of photos.

import icm
matting = icm.load("small")
reference = matting.reference("cat.jpg", "cat_mask.png")
matting("other_cat.jpg", reference).cutout().save("other_cat.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icm.version import __version__

__all__ = [
    "Absent",
    "Adjustment",
    "Call",
    "Engine",
    "Export",
    "Exported",
    "Failure",
    "Final",
    "IcmError",
    "InputError",
    "Marking",
    "Matte",
    "Matting",
    "Picture",
    "Pictures",
    "Points",
    "Reference",
    "Reported",
    "Scribbles",
    "Steps",
    "Stroke",
    "Verdict",
    "__version__",
    "export",
    "image_size",
    "inventory",
    "load",
    "output_stems",
    "over",
    "read_image",
    "read_mask",
    "read_model_config",
    "report_files",
    "verdict_of",
]

if TYPE_CHECKING:
    from icm.build import read_model_config
    from icm.config.adjust import Adjustment
    from icm.config.export import Export
    from icm.config.results import Absent
    from icm.engine import Call, Engine, Final, Pictures, Steps
    from icm.errors import IcmError, InputError
    from icm.images import Picture, image_size, output_stems, read_image, read_mask
    from icm.matting import Failure, Marking, Matting, load
    from icm.results import (
        Exported,
        Matte,
        Points,
        Reference,
        Scribbles,
        Stroke,
        export,
        over,
    )
    from icm.results.report import Reported, report_files
    from icm.results.verdict import Verdict, verdict_of
    from icm.weights.inventory import inventory

_HOMES = {
    "Absent": "icm.config.results",
    "Adjustment": "icm.config.adjust",
    "Call": "icm.engine",
    "Engine": "icm.engine",
    "Export": "icm.config.export",
    "Exported": "icm.results",
    "Failure": "icm.matting",
    "Final": "icm.engine",
    "IcmError": "icm.errors",
    "InputError": "icm.errors",
    "Marking": "icm.matting",
    "Matte": "icm.results",
    "Matting": "icm.matting",
    "Picture": "icm.images",
    "Pictures": "icm.engine",
    "Points": "icm.results",
    "Reference": "icm.results",
    "Reported": "icm.results.report",
    "Verdict": "icm.results.verdict",
    "verdict_of": "icm.results.verdict",
    "Scribbles": "icm.results",
    "Steps": "icm.engine",
    "Stroke": "icm.results",
    "export": "icm.results",
    "image_size": "icm.images",
    "inventory": "icm.weights.inventory",
    "load": "icm.matting",
    "output_stems": "icm.images",
    "over": "icm.results",
    "report_files": "icm.results.report",
    "read_image": "icm.images",
    "read_mask": "icm.images",
    "read_model_config": "icm.build",
}


def __getattr__(name: str) -> Any:
    """Imports public names when they are first used: `icm --version` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'icm' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415 - kept out of the module's own names

    return getattr(import_module(_HOMES[name]), name)
