"""The small folder of training pictures of the data tests, here too."""

from tests.data.conftest import tiny_root

__all__ = ["tiny_root"]
