"""A group of pictures in one pass: who fails with whom."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from icm.engine.pictures import Pictures, Steps
from icm.engine.stages import Final
from icm.errors import DeviceMemoryError, IcmError, InputError


class Model:
    """Stands for a model; one picture, `bad`, cannot be refined or predicted."""

    device = SimpleNamespace(type="cpu")
    config = SimpleNamespace(batch=8)
    parallel = 1

    def __init__(self, stage: str, error: Exception) -> None:
        self._stage, self._error = stage, error

    def predict(self, pictures: list[Any], reference: Any) -> list[Any]:
        if self._stage == "predict" and any(picture.name == "bad" for picture in pictures):
            raise self._error
        return [picture.name for picture in pictures]

    def refine(self, picture: Any, prediction: str, absent: Any) -> str:
        if self._stage == "refine" and prediction == "bad":
            raise self._error
        return f"computed {prediction}"


def _results(model: Model, reference: Any) -> list[Any]:
    """What the device makes of a group of three: outcomes of those that failed, else values."""
    steps: Steps[str, Any] = Steps(
        read=lambda job: SimpleNamespace(name=job, size=(1, 1)),  # type: ignore[arg-type,return-value]  # a stand-in
        reference=reference,
        write=lambda job, matte, seconds: job,
        failed=lambda job, error: (job, error),
    )
    stages = Pictures(model, steps).stages  # type: ignore[arg-type]  # a stand-in
    found = stages.predict([stages.read(job) for job in ("a", "bad", "c")])
    return [each.outcome if isinstance(each, Final) else each.computed for each in found]


@pytest.mark.parametrize("stage", ["predict", "refine"])
@pytest.mark.parametrize(
    "error", [DeviceMemoryError("too little memory"), InputError("no good"), ValueError("odd")]
)
def test_a_picture_that_fails_does_not_fail_those_of_its_pass(stage: str, error: Exception) -> None:
    results = _results(Model(stage, error), lambda job: "reference")
    assert results == ["computed a", ("bad", error), "computed c"]


@pytest.mark.parametrize("error", [InputError("no reference"), ValueError("odd")])
def test_a_reference_that_fails_is_made_once_and_fails_them_all(error: Exception) -> None:
    made: list[str] = []

    def reference(job: str) -> Any:
        made.append(job)
        raise error

    model = Model("", IcmError("not raised"))
    assert _results(model, reference) == [("a", error), ("bad", error), ("c", error)]
    assert made == ["a"]
