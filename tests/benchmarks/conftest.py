"""Small folders of training and validation pictures of other tests, here too."""

from tests.research.data.conftest import tiny_root
from tests.research.evaluation.conftest import validation_folder

__all__ = ["tiny_root", "validation_folder"]
