"""Every objective has its own configuration: what it does not use is refused."""

from __future__ import annotations

import pytest

from icm.config.training import OBJECTIVES, PresenceTraining, parse_training
from icm.errors import ConfigError

PRESENCE = {"objective": "presence", "start_from": "a", "distinct_batches": 4, "steps": 1}


def test_the_objective_chooses_the_type() -> None:
    assert type(parse_training(PRESENCE, source="stage")) is PresenceTraining
    plain = {"start_from": "a", "steps": 1}
    for name in ("denoise", "matting", "refine", "published"):
        assert type(parse_training(plain | {"objective": name}, source="")) is OBJECTIVES[name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kept_features": 1}, "stage: unknown key 'kept_features'"),
        ({"objective": "denoise"}, "unknown key 'distinct_batches'"),
        ({"start_from": None}, "'start_from' is None"),
        ({"objective": "refine"}, "unknown key 'distinct_batches'"),
        ({"objective": "guess"}, "'objective' is 'guess': choose of denoise, matting"),
        ({"objective": ["matting"]}, "choose of denoise, matting"),
    ],
)
def test_what_an_objective_does_not_know_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_training(PRESENCE | changes, source="stage")
