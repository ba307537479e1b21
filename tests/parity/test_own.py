"""Every module equals our own written-out loops: the suite means something without fixtures."""

from __future__ import annotations

import pytest
import torch

from tests.parity import checks, generate_own
from tests.parity.files import OWN, load


@pytest.mark.parametrize("check", checks.COMMON, ids=lambda check: check.__name__)
def test_equals_the_loops(check):
    check(OWN)


def test_files_are_what_the_script_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_own, "OWN", tmp_path)
    generate_own.main()
    names = sorted(path.stem for path in OWN.glob("*.safetensors"))
    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == names
    for name in names:
        kept, kept_meta = load(OWN, name)
        written, written_meta = load(tmp_path, name)
        assert written_meta == kept_meta
        assert written.keys() == kept.keys()
        for key, value in kept.items():
            assert torch.allclose(written[key], value, atol=1e-6), f"{name}: {key}"
