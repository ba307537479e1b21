"""`icm batch` as a person calls it, in this process."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from icm.cli import main
from tests.engine.tiny import hashes, paint, paint_reference, write_config


class Call:
    """A folder with targets, a reference, and the words of a call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number in range(3):
            paint(folder / "in" / "sub" / f"{number}.png", seed=number)
        reference, mask = paint_reference(folder)
        self.reference = ["--reference", str(reference), "--mask", str(mask)]
        self.model = ["--model", str(write_config(folder)), "--device", "cpu"]

    def __call__(self, *words: str, out: str = "out", reference: bool = True) -> int:
        given = self.reference if reference else []
        place = out if out == "-" else str(self.folder / out)
        return main(["batch", str(self.folder / "in"), *given, "-o", place, *self.model, *words])


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call(tmp_path)


def test_a_folder_with_a_failure(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    (call.folder / "in" / "bad.jpg").write_bytes(b"no picture")
    report = call.folder / "report.html"
    assert call("--report", str(report), "--trim", "--save", "alpha") == 1
    printed = capsys.readouterr()
    assert "3 done" in printed.out and "failed: bad.jpg: the file is not a picture" in printed.out
    assert "bad.jpg: the file is not a picture" in printed.err
    assert set(hashes(call.folder / "out")) == {f"sub/{number}.alpha.png" for number in range(3)}
    assert "bad.jpg" in report.read_text(encoding="utf-8")
    (call.folder / "in" / "bad.jpg").unlink()
    assert call("--trim", "--save", "alpha") == 0
    assert "0 done" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        *(f"sub/{number}.png -> sub/{number}: new" for number in range(3)),
        "3 of 3 would be done",
    ]
    assert not (call.folder / "out").exists()


def test_lists_from_file_and_input_stream(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = call.folder / "list.txt"
    listed.write_text(
        f"{call.folder / 'in' / 'sub' / '1.png'}\n{call.folder / 'in' / 'none.png'}\n"
    )
    assert call("--list", str(listed)) == 1
    assert "failed: none.png: cannot read it: No such file" in capsys.readouterr().out
    assert {Path(name).name for name in hashes(call.folder / "out")} == {
        "1.alpha.png",
        "1.cutout.png",
    }
    content = f"{call.folder / 'in' / 'sub' / '2.png'}\0".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert call("--list", "-", out="other") == 0
    assert len(hashes(call.folder / "other")) == 2


def test_groups(call: Call) -> None:
    reference, mask = call.reference[1], call.reference[3]
    groups = {
        "groups": [
            {
                "name": "cup",
                "references": [{"image": reference, "mask": mask}],
                "targets": ["sub", "sub/1.png"],
            }
        ]
    }
    path = call.folder / "groups.json"
    path.write_text(json.dumps(groups))
    assert call("--groups", str(path), "--save", "alpha", reference=False) == 0
    assert set(hashes(call.folder / "out")) == {f"cup/sub/{n}.alpha.png" for n in range(3)}


def test_a_tar_on_the_output_stream(call: Call, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert call("--archive", "tar", "--save", "alpha", out="-") == 0
    with tarfile.open(fileobj=io.BytesIO(capfdbinary.readouterr().out)) as archive:
        names = archive.getnames()
    assert names == [*(f"sub/{number}.alpha.png" for number in range(3)), "icm-batch.jsonl"]


def test_a_zip_by_its_name(call: Call) -> None:
    assert call(out="results.zip") == 0
    assert (call.folder / "results.zip").read_bytes()[:2] == b"PK"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--groups", "g.json"], "either --reference PICTURE with --mask, --points or --box, or a"),
        (["--list", "x", "--pattern", "*.png"], "--list names all targets"),
        (["--watch", "--dry-run"], "--watch looks at IN_DIR"),
        (["--archive", "zip", "--report", "r.html"], "need results in a folder"),
        (["--pattern", "*.tif"], "no pictures in"),
        (["--batch", "0"], "flow.batch"),
        (["--list", "no-such-list"], "cannot read the list"),
        (["--background", "none.png", "--save", "composite"], "none.png"),
    ],
)
def test_wrong_calls_do_nothing(
    call: Call, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*words) == 2
    assert message in capsys.readouterr().err
    assert not (call.folder / "out").exists()


def test_results_among_the_targets_are_refused(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(out="in/sub/..") == 2
    assert "cannot lie among the targets" in capsys.readouterr().err


def test_a_listed_target_outside_the_folder_is_refused(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = call.folder / "list.txt"
    listed.write_text(f"{call.folder / 'reference.png'}\n")
    assert call("--list", str(listed)) == 2
    assert "does not lie in" in capsys.readouterr().err
    assert not (call.folder / "out").exists()


def test_without_any_reference(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(reference=False) == 2
    assert "--groups" in capsys.readouterr().err


def test_a_format_that_holds_no_transparency_is_refused_before_any_work(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--format", "jpeg") == 2
    assert "a JPEG has no transparency" in capsys.readouterr().err
    assert not (call.folder / "out").exists()
    assert call("--format", "jpeg", "--save", "composite", "--background", "#ffffff") == 0
    names = {f"sub/{number}.composite.jpg" for number in range(3)}
    assert set(hashes(call.folder / "out")) == names
