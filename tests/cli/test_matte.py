"""`icm matte` and `icm reference` as a person uses them: files, messages, exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.cli import main
from icm.images import read_image
from icm.matting import Matting
from icm.results import Matte, Reference
from tests.conftest import TINY_SMALL

MODEL = [word for override in TINY_SMALL for word in ("--set", override)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, size in (("ref.png", (50, 60)), ("one.jpg", (40, 70)), ("two.png", (64, 30))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / name)
    mask = np.zeros((50, 60), np.uint8)
    mask[10:30, 20:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def matte(folder: Path, *words: str, mask: str | None = "mask.png") -> int:
    marked = ["--reference", str(folder / "ref.png")]
    marked += [] if mask is None else ["--mask", str(folder / mask)]
    given = [*marked, "-o", str(folder / "out"), "--device", "cpu", *MODEL]
    targets = [word for word in words if word.startswith(str(folder))]
    return main(["matte", *targets, *given, *words[len(targets) :]])


def written(folder: Path) -> list[str]:
    out = folder / "out"
    return sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())


def test_alpha_and_cut_out_of_each_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert matte(folder, str(folder / "one.jpg"), str(folder / "two.png")) == 0
    assert written(folder) == [
        "one.alpha.png",
        "one.cutout.png",
        "two.alpha.png",
        "two.cutout.png",
    ]
    alpha = Image.open(folder / "out" / "one.alpha.png")
    assert (alpha.mode, alpha.size) == ("L", (70, 40))
    assert Image.open(folder / "out" / "one.cutout.png").mode == "RGBA"
    said = capsys.readouterr().err
    assert "2 matted" in said
    assert "2/2" in said


def test_everything_can_be_saved_in_16_bits(folder: Path) -> None:
    kinds = "alpha,cutout,trimap,guidance,composite"
    one = str(folder / "one.jpg")
    assert matte(folder, one, "--save", kinds, "--bits", "16", "--background", "#ff0000") == 0
    assert written(folder) == sorted(f"one.{kind}.png" for kind in kinds.split(","))
    assert Image.open(folder / "out" / "one.alpha.png").mode == "I;16"


def test_a_saved_reference_gives_the_same_files(folder: Path) -> None:
    one, two = str(folder / "one.jpg"), str(folder / "two.png")
    assert matte(folder, one, two) == 0
    before = {name: (folder / "out" / name).read_bytes() for name in written(folder)}
    saved = folder / "object.icmref"
    marked = ["--reference", str(folder / "ref.png"), "--mask", str(folder / "mask.png")]
    assert main(["reference", *marked, "-o", str(saved), "--device", "cpu", *MODEL]) == 0
    words = ["matte", one, two, "--reference", str(saved), "-o", str(folder / "out")]
    assert main([*words, "--device", "cpu", *MODEL]) == 0
    assert {name: (folder / "out" / name).read_bytes() for name in written(folder)} == before


def test_a_broken_target_is_named_and_the_rest_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "text.jpg").write_text("this is no picture")
    assert matte(folder, str(folder / "text.jpg"), str(folder / "one.jpg")) == 1
    assert written(folder) == ["one.alpha.png", "one.cutout.png"]
    said = capsys.readouterr().err
    assert "text.jpg" in said
    assert "1 failed" in said
    assert "Traceback" not in said


def test_an_output_that_cannot_be_written_fails_its_target(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out" / "one.alpha.png").mkdir(parents=True)  # a folder where the file should be
    assert matte(folder, str(folder / "one.jpg"), str(folder / "two.png")) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert (folder / "out" / "two.alpha.png").is_file()


@pytest.mark.parametrize("background", ["#zzzzzz", "no_such.png"])
def test_what_could_not_be_written_is_refused_before_any_work(
    folder: Path, capsys: pytest.CaptureFixture[str], background: str
) -> None:
    one = str(folder / "one.jpg")
    assert matte(folder, one, "--save", "alpha,composite", "--background", background) == 2
    assert written(folder) == []
    (folder / "out").write_text("a file where the folder should be")
    assert matte(folder, one) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_mask_belongs_to_the_reference_before_it(folder: Path) -> None:
    cut = np.dstack([np.asarray(Image.open(folder / "ref.png")), np.full((50, 60), 9, np.uint8)])
    cut[5:20, 5:20, 3] = 255
    Image.fromarray(cut).save(folder / "cut.png")
    saved = folder / "both.icmref"
    words = ["--reference", str(folder / "cut.png"), "--reference", str(folder / "ref.png")]
    words += ["--mask", str(folder / "mask.png"), "-o", str(saved)]
    assert main(["reference", *words, "--device", "cpu", *MODEL]) == 0
    first, second = Reference.load(saved).thumbnails
    assert first[10, 10, 3] == 255
    assert second[10, 10, 3] == 0
    assert second[20, 40, 3] == 255


def test_a_name_that_no_file_can_have_fails_its_target(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert matte(folder, str(folder / ("a" * 300 + ".jpg"))) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mask", "empty.png"], "marks nothing"),
        (["--mask", "full.png"], "marks the whole picture"),
        (["--mask", "small.png"], "save the mask at the reference's size"),
        (["--mask", "none.png"], "none.png"),
        ([], "has no mask: give a mask picture, points or a box on the object"),
    ],
)
def test_a_wrong_mask_is_a_wrong_call(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    for name, value, size in (
        ("empty", 0, (60, 50)),
        ("full", 255, (60, 50)),
        ("small", 9, (9, 9)),
    ):
        Image.new("L", size, value).save(folder / f"{name}.png")
    mask = words[1] if words else None
    assert matte(folder, str(folder / "one.jpg"), mask=mask) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) <= 2
    assert written(folder) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "huge"], "unknown model 'huge'"),
        (["--device", "cuda"], "CUDA"),
        (["--set", "input.sise=3"], "did you mean 'size'"),
        (["--save", "alfa"], "cannot save alfa"),
        (["--mask", "again.png"], "ref.png is marked already: give one of --mask, --points and"),
        (["--points", "9,9"], "ref.png is marked already: give one of --mask, --points and --box"),
        (["--background", "white"], "--background white: give a colour as #rrggbb (white is"),
        (["--background", "#zzz"], "the path of a picture, or checker"),
    ],
)
def test_a_wrong_option_is_a_wrong_call(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    marked = ["--reference", str(folder / "ref.png"), "--mask", str(folder / "mask.png")]
    call = ["matte", str(folder / "one.jpg"), *marked, "-o", str(folder / "out")]
    assert main([*call, *MODEL, *words]) == 2
    assert message in capsys.readouterr().err
    assert written(folder) == []


def test_a_folder_as_target_points_to_batch(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert matte(folder, str(folder)) == 2
    assert "icm batch" in capsys.readouterr().err


def test_a_missing_target_is_named_and_fails(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert matte(folder, str(folder / "gone.jpg")) == 1
    said = capsys.readouterr().err
    assert "gone.jpg" in said
    assert "1/1\n" in said  # no rate of what was not done


def test_a_mask_for_a_saved_reference_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["matte", str(folder / "one.jpg"), "--reference", str(folder / "a.icmref")]
    words += ["--mask", str(folder / "mask.png"), "-o", str(folder / "out"), *MODEL]
    assert main([*words, "--device", "cpu"]) == 2
    assert "holds its mask already" in capsys.readouterr().err


def test_a_mask_before_any_reference_is_a_wrong_call(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--mask", str(folder / "mask.png"), "--reference", str(folder / "ref.png")]
    assert main(["matte", str(folder / "one.jpg"), *words, "-o", str(folder / "out"), *MODEL]) == 2
    assert "give its --reference before it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("mask.png", ""),
        ("inverted.png", "inverted.png marks 80 % of the picture, so it may be inverted: a mask"),
        ("ref.png", "ref.png has many greys over most of the picture, as a photograph has"),
    ],
)
def test_what_is_plainly_no_mask_is_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture, name: str, warning: str
) -> None:
    inverted = 255 - np.asarray(Image.open(folder / "mask.png"))
    Image.fromarray(inverted).save(folder / "inverted.png")
    assert matte(folder, str(folder / "one.jpg"), str(folder / "two.png"), mask=name) == 0
    said = [record.getMessage() for record in caplog.records]
    said = [text for text in said if "white on the object" in text]
    assert len(said) == bool(warning)
    assert warning in "".join(said)


def test_a_model_with_random_weights_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert matte(folder, str(folder / "one.jpg")) == 0
    assert "'small' has random weights, for tests: its results mean nothing" in caplog.text


def test_the_help_says_what_results_of_several_folders_are_called(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["matte", "--help"])
    assert "keep the sub-folders" in " ".join(capsys.readouterr().out.split())
    (folder / "other").mkdir()
    Image.open(folder / "one.jpg").save(folder / "other" / "one.jpg")
    assert matte(folder, str(folder / "one.jpg"), str(folder / "other" / "one.jpg")) == 0
    assert "other/one.alpha.png" in written(folder)


def test_what_may_be_missing_is_said_and_withheld_only_where_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder / "one.jpg"), "--set", "finish.present_threshold=1"]
    alpha = folder / "out" / "one.alpha.png"
    assert matte(folder, *words) == 0
    said = capsys.readouterr().err
    assert "one.jpg: maybe not in this picture (confidence 0." in said
    assert "1 matted into" in said and "1 maybe without the object" in said
    assert np.asarray(Image.open(alpha)).max() > 0
    assert matte(folder, *words, "--absent", "empty") == 0
    assert "alpha is all zero" in capsys.readouterr().err
    assert np.asarray(Image.open(alpha)).max() == 0
    assert matte(folder, *words, "--absent", "skip") == 0
    said = capsys.readouterr().err
    assert "nothing is written" in said
    assert "0 matted into" in said and "1 skipped" in said
    assert written(folder) == []


def test_adjustments_reach_the_files(folder: Path) -> None:
    one = str(folder / "one.jpg")
    assert matte(folder, one) == 0
    before = np.asarray(Image.open(folder / "out" / "one.alpha.png"), int)
    assert matte(folder, one, "--edge-shift", "30") == 0
    after = np.asarray(Image.open(folder / "out" / "one.alpha.png"), int)
    assert (after >= before).all() and after.sum() > before.sum()


def test_an_adjustment_out_of_range_is_a_wrong_call(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert matte(folder, str(folder / "one.jpg"), "--foreground", "3") == 2
    assert "foreground" in capsys.readouterr().err
    assert not written(folder)


def test_a_canvas_and_a_format_are_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(folder / "one.jpg")
    words = ("--save", "composite", "--background", "#ff8000", "--canvas", "90x50", "--margin", "3")
    assert matte(folder, one, *words, "--format", "jpeg") == 0
    assert written(folder) == ["one.composite.jpg"]
    assert Image.open(folder / "out" / "one.composite.jpg").size == (90, 50)
    capsys.readouterr()
    assert matte(folder, one, "--format", "webp", "--bits", "16") == 2
    assert "WebP has 8 bits per channel: choose PNG for 16" in capsys.readouterr().err
    assert matte(folder, one, "--canvas", "90") == 2
    assert "write it as 1200x800" in capsys.readouterr().err


def test_what_should_be_looked_at_is_named_with_why(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faint, sure = {"alpha": 0.3, "confidence": 0.9}, {"alpha": 1.0, "confidence": 0.9}
    looks = {"one.jpg": faint, "two.png": sure, "ref.png": {"alpha": 1.0, "confidence": 0.3}}

    def stream(self: Matting, targets: list[Path], reference: Reference) -> Iterator[Matte]:
        for target in targets:
            picture, look = read_image(target), looks[target.name]
            alpha = np.full(picture.size, look["alpha"], np.float32)
            yield Matte(picture, alpha, alpha, look["confidence"], present=True)

    monkeypatch.setattr(Matting, "stream", stream)
    assert matte(folder, *(str(folder / name) for name in looks)) == 0
    said = capsys.readouterr().err
    assert "one.jpg: nearly nothing found, look at it (confidence 0.90)" in said
    assert "ref.png: perhaps found, look at it (confidence 0.30)" in said
    assert "two.png" not in said
    last = said.splitlines()[-1]
    one, ref = folder / "one.jpg", folder / "ref.png"
    assert last == f"3 matted into {folder / 'out'}, 2 to be checked: {one}, {ref}"


def test_of_many_to_be_checked_the_last_line_names_a_few(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icm.cli.matte._NAMED", 1)
    monkeypatch.setattr("icm.results.verdict.SURE", 2.0)
    monkeypatch.setattr("icm.results.verdict.SOLID", 0.0)
    one, two = str(folder / "one.jpg"), str(folder / "two.png")
    assert matte(folder, one, two, "--set", "finish.present_threshold=0") == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"2 to be checked: {one} and 1 more, all named above")
