"""Import of the published checkpoint: safe, complete, every wrong tensor named."""

from __future__ import annotations

import json
import os
import pickle
import zipfile

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from icm.errors import OutputError, WeightsError
from icm.weights.hashes import sha256_of
from icm.weights.published_checkpoint import (
    PREFIX,
    check_head,
    import_checkpoint,
    published_shapes,
)
from tests.models.published.released import released_network


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        PREFIX + name: torch.rand(shape, generator=generator)
        if shape
        else torch.tensor(20_000, dtype=torch.int64)
        for name, shape in published_shapes().items()
    }


def _lightning(state, path, **more):
    content = {
        "state_dict": state,
        "epoch": 3,
        "global_step": 20_000,
        "pytorch-lightning_version": "1.9.5",
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 4e-4}]}],
        "hyper_parameters": {"in_dim": [1280, 1280]},
        **more,
    }
    torch.save(content, path)
    return path


def test_the_list_of_tensors_is_the_published_one(published):
    listed = json.loads((published / "checkpoint_keys.json").read_text())
    shapes = published_shapes()
    assert len(shapes) == listed["n_keys"] == 89
    assert {PREFIX + k: list(v) for k, v in shapes.items()} == {
        k: v[0] for k, v in listed["keys"].items()
    }


def test_a_lightning_file_becomes_safetensors_that_the_network_takes(state, tmp_path):
    source = _lightning(state, tmp_path / "icm.ckpt")
    imported = import_checkpoint(source, tmp_path / "deep" / "head.safetensors")
    assert (imported.tensors, imported.parameters) == (89, 21_101_585)
    assert imported.sha256 == sha256_of(imported.path)
    written = load_file(imported.path)
    for name, value in state.items():
        assert torch.equal(written[name.removeprefix(PREFIX)], value)
    released_network().load_state_dict(written)
    with safe_open(imported.path, "pt") as file:
        assert file.metadata()["format_version"] == "1"
    check_head(imported.path)


def test_half_precision_and_a_carried_extractor_are_accepted(state, tmp_path):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    half["feature_extractor.unet.conv_in.weight"] = torch.zeros(1)
    imported = import_checkpoint(_lightning(half, tmp_path / "h.ckpt"), tmp_path / "o.safetensors")
    written = load_file(imported.path)
    assert len(written) == 89
    assert {v.dtype for v in written.values()} == {torch.float32, torch.int64}


def test_each_wrong_tensor_is_named(state, tmp_path):
    names = sorted(state)
    wrong = dict(state)
    del wrong[names[0]], wrong[names[1]]
    wrong[names[2]] = torch.zeros(3, 5)
    wrong[PREFIX + "more.weight"] = torch.zeros(1)
    wrong[names[3]] = torch.full(state[names[3]].shape, float("nan"))
    target = tmp_path / "out.safetensors"
    with pytest.raises(WeightsError) as caught:
        import_checkpoint(_lightning(wrong, tmp_path / "w.ckpt"), target)
    message = str(caught.value)
    assert "5 tensors are wrong" in message
    for name in names[:2]:
        assert f"missing {name.removeprefix(PREFIX)}" in message
    assert f"{names[2].removeprefix(PREFIX)} has shape (3, 5), expected" in message
    assert "unexpected more.weight" in message
    assert f"{names[3].removeprefix(PREFIX)} holds values that are not finite" in message
    assert not target.exists()


class _Malicious:
    """Unpickling this makes a folder, if anything lets it."""

    def __init__(self, mark) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def _plain_pickle(path, payload):
    path.write_bytes(pickle.dumps({"state_dict": {}, "x": payload}, protocol=2))


def _torch_zip(path, payload):
    torch.save({"state_dict": {}, "x": payload}, path)


def _torch_legacy(path, payload):
    torch.save({"state_dict": {}, "x": payload}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [_plain_pickle, _torch_zip, _torch_legacy])
def test_code_in_a_checkpoint_never_runs(tmp_path, write):
    source, mark = tmp_path / "bad.ckpt", tmp_path / "ran"
    write(source, _Malicious(mark))
    with pytest.raises(WeightsError, match="Code in it was not run"):
        import_checkpoint(source, tmp_path / "out.safetensors")
    assert not mark.exists()
    assert not (tmp_path / "out.safetensors").exists()
    # The test can fail: an unguarded load does run it.
    torch.load(source, weights_only=False) if write is not _plain_pickle else pickle.loads(
        source.read_bytes()
    )
    assert mark.exists()


def test_files_that_are_no_checkpoint_are_refused(state, tmp_path):
    whole = _lightning(state, tmp_path / "whole.ckpt").read_bytes()
    cases = {
        "empty.ckpt": b"",
        "page.ckpt": b"<html>please log in</html>",
        "half.ckpt": whole[: len(whole) // 2],
        "broken.safetensors": b"\x08\0\0\0\0\0\0\0{}",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            import_checkpoint(tmp_path / name, tmp_path / "out.safetensors")
    with zipfile.ZipFile(tmp_path / "photos.ckpt", "w") as archive:
        archive.writestr("a.txt", "hello")
    torch.save([1, 2], tmp_path / "list.ckpt")
    for name in ("photos.ckpt", "list.ckpt", "absent.ckpt"):
        with pytest.raises(WeightsError, match=name):
            import_checkpoint(tmp_path / name, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_place_that_cannot_be_written_is_named(state, tmp_path):
    source = _lightning(state, tmp_path / "icm.ckpt")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"head\.safetensors"):
        import_checkpoint(source, tmp_path / "file" / "head.safetensors")
