"""Another refiner: results are made again, saved references stay valid."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

import icm
from icm.engine import Group, Stop, preview, run_folder
from icm.matting import Matting
from icm.models.small.refiner import DetailRefiner
from tests.engine.conftest import Followed, Requests
from tests.engine.tiny import write_config


def _refined(folder: Path, path: Path, seed: int) -> Matting:
    """The tiny model with a refiner of random weights, always in the same file."""
    torch.manual_seed(seed)
    save_file(DetailRefiner().state_dict(), path)
    finish = f"finish={{method: refined, refiner: '{path}', present_threshold: 0}}"
    return icm.load(str(write_config(folder)), device="cpu", overrides=[finish])


def test_a_new_refiner_in_the_same_file_redoes_results_only(
    request_of: Requests, tmp_path: Path
) -> None:
    file, saved, out = tmp_path / "refiner.safetensors", tmp_path / "r.icmref", tmp_path / "out"
    targets = (request_of.root / "a" / "0.png",)
    states = []
    for seed in (1, 1, 2):
        matting = _refined(tmp_path, file, seed)
        if not saved.exists():
            matting.reference(*request_of.pair).save(saved)
        requests = Requests(matting, request_of.root)
        request = requests.of((Group("", ((str(saved), None),), targets),))
        reasons = [reason for _, reason in preview(request, out)]
        listener = Followed()
        run_folder(request, out, Stop(), listener)
        states.append((*reasons, *listener.states.values()))
    assert states == [("new", "done"), ("up to date", "unchanged"), ("other settings", "done")]


def test_a_model_without_a_refiner_keeps_its_ledgers(matting: Matting) -> None:
    assert matting.results_fingerprint == matting.fingerprint
