"""What a stroke of the brush covers."""

import numpy as np
import pytest

from icm import Stroke


@pytest.mark.parametrize("points", [((20.0, 15.0),), ((20.0, 15.0), (20.0, 15.0))])
def test_a_stroke_of_one_point_is_a_dab(points):
    covered = Stroke(points, keep=True, width=8).coverage(0, 0, (30, 40))
    rows, columns = np.mgrid[:30, :40]
    distance = np.hypot(rows - 15, columns - 20)
    assert (covered[distance <= 2] == 1).all()
    assert (covered[distance > 5] == 0).all()
