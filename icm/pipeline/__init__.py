"""The one public object: from photographs to mattes.

matting = icm.load("small")
reference = matting.reference("cat.jpg", "cat_mask.png")
matte = matting("other_cat.jpg", reference)
matte.cutout().save("other_cat.png")
"""

from icm.pipeline.load import load
from icm.pipeline.matting import Matting
from icm.pipeline.passes import Passes
from icm.pipeline.preparation import input_size
from icm.pipeline.streaming import Failure

__all__ = ["Failure", "Matting", "Passes", "input_size", "load"]
