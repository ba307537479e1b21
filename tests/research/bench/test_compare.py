"""`icm bench` in miniature: both paths agree, and the report says so."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from icm.cli import bench
from icm.errors import ConfigError, InputError, OutputError
from icm.research.bench import compare


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    bench.add_parser(parser.add_subparsers())
    return bench.run(parser.parse_args(["bench", *words]))


def test_both_paths_agree_on_random_weights(tmp_path, capsys):
    output = tmp_path / "report.json"
    words = ["--model", "tiny", "--size", "128", "--runs", "2", "--count"]
    assert _run(*words, "--random", str(tmp_path / "weights"), "-o", str(output)) == 0
    report = json.loads(output.read_text())
    assert json.loads(capsys.readouterr().out) == report
    paths = report["paths"]
    assert list(paths) == ["published", "bfloat16", "float32"]
    assert all(values["alpha_deviation"] > 0.05 for values in paths.values())
    assert paths["float32"]["alpha_difference_max"] < 1e-4
    assert 0 < paths["bfloat16"]["alpha_difference_mean"] < 5e-3
    smaller = paths["bfloat16"]["with_a_smaller_last_layer"]
    assert [row["alpha_deviation"] for row in smaller] == [0.05, 0.1]
    means = [row["alpha_difference_mean"] for row in smaller]
    assert 0 < means[0] < means[1] < paths["bfloat16"]["alpha_difference_mean"]
    for values in paths.values():
        assert set(values["seconds"]) == {"encoder", "unet", "head", "total"}
        assert len(values["total_seconds_of_each_run"]) == 2
        assert values["peak_gibibytes"] > 0
    assert paths["float32"]["teraflops"] < 0.5 * paths["published"]["teraflops"] + 1e-3
    assert paths["float32"]["times_fewer_seconds"] > 0
    # The weights are kept, and used again.
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "weights").rglob("*.safetensors")}
    assert _run(*words, "--random", str(tmp_path / "weights"), "--paths", "float32") == 0
    assert written == {p: p.stat().st_mtime_ns for p in written}


def test_a_smaller_last_layer_is_what_its_scale_on_the_weights_would_give():
    generator = torch.Generator().manual_seed(0)
    x_bchw = torch.randn(1, 8, 32, 32, generator=generator)
    last = torch.nn.Conv2d(8, 1, 1, bias=False)
    rounded_bchw = x_bchw.bfloat16().float()
    with torch.no_grad():
        ours, theirs = last(rounded_bchw).sigmoid(), last(x_bchw).sigmoid()
    row = compare._at_deviations(ours, theirs)[1]
    low, high = 0.0, 1.0
    with torch.no_grad():
        weight = last.weight.clone()
        for _ in range(30):
            last.weight.copy_(weight * (low + high) / 2)
            if last(x_bchw).sigmoid().std() < 0.1:
                low = (low + high) / 2
            else:
                high = (low + high) / 2
        difference = (last(rounded_bchw).sigmoid() - last(x_bchw).sigmoid()).abs()
    assert row["alpha_difference_mean"] == pytest.approx(float(difference.mean()), rel=1e-2)
    assert row["alpha_difference_max"] == pytest.approx(float(difference.max()), rel=1e-2)


def test_wrong_calls_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"use --model sd21$"):
        _run("--model", "small")
    with pytest.raises(ConfigError, match="unknown path 'int8'"):
        _run("--model", "tiny", "--paths", "published,int8")
    with pytest.raises(InputError, match="--runs"):
        _run("--model", "tiny", "--runs", "0")
    with pytest.raises(OutputError, match="cannot write"):
        _run(
            "--model",
            "tiny",
            "--size",
            "128",
            "--runs",
            "1",
            "--paths",
            "float32",
            "-o",
            str(tmp_path / "absent" / "report.json"),
        )
