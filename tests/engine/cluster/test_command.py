"""`icm batch --engine ray`, as a person calls it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from icm.cli import main
from icm.engine import Job, Stop, cluster, run_folder
from icm.engine.cluster import ClusterRequest
from icm.matting import Matting
from tests.engine.cluster.conftest import Buckets, Machines, Marked, icm
from tests.engine.conftest import Followed, Requests
from tests.engine.tiny import hashes, paint

CALL = ["batch", "IN", "-o", "OUT", "--engine", "ray", "--reference", "r.icmref"]


@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("cluster")
def test_a_manifest_in_a_store_gives_what_one_machine_gives(
    machines: Machines,
    marked: Marked,
    bucket: Buckets,
    matting: Matting,
    tmp_path: Path,
    followed: Followed,
) -> None:
    store = bucket.new()
    for number in range(4):
        picture = paint(tmp_path / "in" / f"{number}.png", seed=number)
        bucket.put(store, f"lists/{number}.png", picture.read_bytes())
    rows = "uri\n" + "".join(f"{number}.png\n" for number in range(4)) + "/etc/hostname\n"
    bucket.put(store, "lists/monday.csv", rows.encode())
    report = tmp_path / "report.html"
    call = [
        *("batch", f"s3://{store}/lists/monday.csv", "-o", f"s3://{store}/out"),
        *("--engine", "ray", "--ray-address", machines.address, "--workers", "1"),
        *("--report", str(report), *marked.options),
    ]
    ran = icm(*call, check=False)
    assert ran.returncode == 1, ran.stderr
    assert "4 done" in ran.stdout
    assert "lies outside the manifest's folder" in ran.stdout
    assert "1 nodes" in ran.stdout
    assert "testing-secret" not in ran.stdout + ran.stderr

    run_folder(Requests(matting, tmp_path / "in")(), tmp_path / "local", Stop(), followed)
    for name in hashes(tmp_path / "local"):
        assert bucket.get(store, f"out/{name}") == (tmp_path / "local" / name).read_bytes()
    page = report.read_text()
    assert page.count('<figure class="failed">') == 1
    assert page.count('alt="matte"') == 4
    (run,) = (key for key in bucket.keys(store, "out/icm-batch.ledger/run-"))
    details = json.loads(bucket.get(store, run))
    assert (details["done"], details["failed"]) == (4, 1)
    assert "testing-secret" not in json.dumps(details)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--watch"], "leave out --archive and --watch"),
        (["--archive", "zip"], "leave out --archive and --watch"),
        (["--groups", "g.json"], "give either --reference"),
        (["--ray-address", "ray://head:10001"], "run the command on a node"),
        (["--workers", "4:2"], "above most"),
    ],
)
def test_what_a_cluster_cannot_do_is_a_wrong_call(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    (tmp_path / "in").mkdir()
    call = [str(tmp_path / "in") if word == "IN" else word for word in CALL]
    call = [str(tmp_path / "out") if word == "OUT" else word for word in call]
    assert main([*call, *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_names_folders_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")

    def previewed(request: ClusterRequest, stop: Stop) -> Iterator[tuple[Job, str]]:
        request.missed.append(("in/closed", "permission denied"))
        yield Job("", "a.png", Path("a.png"), "a"), "new"
        yield Job("", "b.png", Path("b.png"), "b"), "up to date"

    monkeypatch.setattr(cluster, "preview_cluster", previewed)
    (tmp_path / "in").mkdir()
    call = [str(tmp_path / "in") if word == "IN" else word for word in CALL]
    assert main([*call, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a.png -> a: new",
        "b.png -> b: up to date",
        "in/closed: will fail: permission denied",
        "1 of 2 would be done",
    ]


def test_without_the_extra_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    call = [str(tmp_path) if word in ("IN", "OUT") else word for word in CALL]
    call[call.index("-o") + 1] = str(tmp_path / "out")
    assert main(call) == 2
    assert "in-context-matting[ray]" in capsys.readouterr().err
