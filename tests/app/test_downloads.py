"""Results on the disk, composites without the network, the zip and its names."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pytest
from PIL import Image

from app.bundle import Named, reported, results_of, single, stems_of, zip_stream
from app.edits import apply, edit_of
from app.exports import export_of, wanted_of
from app.results import write_results
from app.session import Progress, Target
from app.views import command_line, progress_view
from icm import InputError
from tests.app.fakes import FakeMatting
from tests.app.pictures import disc, encoded


@pytest.fixture
def finished(session):
    """A session with finished pictures of awkward names; and their mattes."""
    mattes = []
    for number, name in enumerate(["a/x.png", "b/x.png", "b/x.jpg", "b/x.png"]):
        key, folder = session.new_folder("t")
        path = folder / "picture"
        path.write_bytes(encoded(disc(colour=(200, 100 + 20 * number, 60))))
        matte = FakeMatting()(path, None)
        write_results(matte, folder)
        mattes.append(matte)
        target = Target(key, PurePath(name), path, matte.picture.size, "done", results=folder)
        session.targets.append(target)
    return session, mattes


def _zipped(session) -> zipfile.ZipFile:
    stream = zip_stream(results_of(session), wanted_of(session), reported(session))
    return zipfile.ZipFile(io.BytesIO(b"".join(stream)))


def _chosen(session, **choices) -> None:
    session.export = export_of(json.dumps(choices).encode())


def _composite(session) -> np.ndarray:
    content, _, _ = single(session, session.targets[0].key, "composite")
    return np.asarray(Image.open(io.BytesIO(content)), int)


def test_composites_are_those_of_the_matte(finished) -> None:
    session, mattes = finished
    session.background = "#ff8000"
    expected = np.asarray(mattes[0].over((255, 128, 0)), int)
    assert np.abs(_composite(session) - expected).max() <= 1


def test_a_picture_as_background(finished, tmp_path) -> None:
    session, mattes = finished
    path = tmp_path / "sea.png"
    path.write_bytes(encoded(disc(50, 300, colour=(0, 200, 255))))
    session.background = "picture"
    with pytest.raises(InputError, match="choose a background"):
        _composite(session)
    session.background_path = path
    assert np.abs(_composite(session) - np.asarray(mattes[0].over(path), int)).max() <= 1


@pytest.mark.parametrize("colour", ["#12", "#gggggg", "#" + "0" * 400])
def test_a_wrong_colour_is_refused(finished, colour) -> None:
    session, _ = finished
    session.background = colour
    with pytest.raises(InputError):
        wanted_of(session)


def test_the_zip_holds_the_files_that_were_chosen(finished) -> None:
    session, _ = finished
    _chosen(session, kinds=["cutout"], format="webp", canvas=[90, 70], margin=5)
    archive = _zipped(session)
    assert archive.namelist()[0] == "a/x.cutout.webp" and len(archive.namelist()) == 4 + 2
    with Image.open(archive.open("a/x.cutout.webp")) as image:
        assert (image.format, image.size, image.mode) == ("WEBP", (90, 70), "RGBA")


def test_a_jpeg_has_a_background_even_where_none_was_chosen(finished) -> None:
    session, _ = finished
    _chosen(session, kinds=["composite"], format="jpeg")
    with Image.open(_zipped(session).open("a/x.composite.jpg")) as image:
        assert (image.format, image.getpixel((0, 0))) == ("JPEG", (255, 255, 255))
    with pytest.raises(InputError, match="a JPEG has no transparency"):
        _chosen(session, kinds=["cutout"], format="jpeg")


def test_sixteen_bits_are_those_that_the_run_has_found(finished) -> None:
    session, _ = finished
    key = session.targets[0].key
    apply(session, key, edit_of({"adjustment": {"feather": 9}}))
    _chosen(session, kinds=["alpha"], bits=16)
    content, _, _ = single(session, key, "alpha")
    alpha = np.asarray(Image.open(io.BytesIO(content)), int)
    eight = np.asarray(Image.open(session.targets[0].path.parent / "full.alpha.png"), int)
    assert np.abs(alpha / 257 - eight).max() <= 0.51
    assert (alpha % 257 != 0).any()  # finer than 8 bits


def test_the_command_line_makes_the_same_files(session) -> None:
    _chosen(session, kinds=["composite"], format="jpeg", quality=80, canvas=[90, 70], margin=5)
    assert "--save composite --background '#ffffff' --format jpeg" in command_line(session)
    assert "--quality 80 --margin 5 --canvas=90x70" in command_line(session)
    _chosen(session, kinds=["alpha", "cutout", "composite"], trim=True, bits=16)
    assert command_line(session).endswith("object.icmref --bits 16 --trim -o my_mattes")


def test_no_file_at_all_is_said(finished) -> None:
    session, _ = finished
    _chosen(session, kinds=["composite"])
    with pytest.raises(InputError, match="no background was chosen"):
        wanted_of(session)


@pytest.mark.parametrize("content", [b"x", b"[]", b'{"margin": -4}', b'{"kinds": ["guidance"]}'])
def test_an_export_that_is_none_is_refused(content) -> None:
    with pytest.raises(InputError):
        export_of(content)


def test_the_zip_keeps_folders_and_nothing_collides(finished) -> None:
    session, mattes = finished
    archive = _zipped(session)
    assert archive.testzip() is None
    stems = ["a/x", "b/x.png", "b/x.jpg", "b/x.png-2"]
    names = [f"{stem}.{kind}.png" for stem in stems for kind in ("alpha", "cutout")]
    assert archive.namelist() == [*names, "report.html", "report.csv"]
    for stem, matte in zip(stems, mattes, strict=True):
        alpha = np.asarray(Image.open(archive.open(f"{stem}.alpha.png")))
        assert np.array_equal(alpha, np.rint(matte.alpha * 255))
        cutout = np.asarray(Image.open(archive.open(f"{stem}.cutout.png")))
        assert np.array_equal(cutout, np.asarray(matte.cutout()))


def test_the_reports_say_what_should_be_checked(finished) -> None:
    visitor, _ = finished
    visitor.targets[2].doubt = "nearly nothing was found"
    visitor.targets[3].state = "absent"
    archive = _zipped(visitor)
    rows = list(csv.reader(io.StringIO(archive.read("report.csv").decode())))
    names = [target.name.as_posix() for target in visitor.targets]
    assert [row[0] for row in rows[1:]] == [names[3], names[2], names[0], names[1]]
    assert rows[2][1] == "check it: nearly nothing was found"
    assert "check it: nearly nothing was found" in archive.read("report.html").decode()


def test_a_result_that_goes_while_the_zip_is_sent_is_left_out(finished, tmp_path) -> None:
    session, _ = finished
    gone = Named("t", PurePath("gone"), tmp_path / "gone")
    stream = zip_stream([*results_of(session)[:1], gone], wanted_of(session), {})
    archive = zipfile.ZipFile(io.BytesIO(b"".join(stream)))
    assert len(archive.namelist()) == 2 + 2


def test_a_result_that_cannot_be_read_is_named_without_the_servers_folders(finished) -> None:
    session, _ = finished
    _chosen(session, kinds=["cutout"], format="webp")
    for path in session.targets[0].path.parent.glob("*"):
        path.unlink()
    archive = _zipped(session)
    rows = list(csv.reader(io.StringIO(archive.read("report.csv").decode())))
    assert rows[1][0] == "a/x.png" and rows[1][3].startswith("not in the zip: ")
    assert str(session.folder) not in archive.read("report.csv").decode()
    assert str(session.folder) not in archive.read("report.html").decode()


def test_a_picture_that_the_format_cannot_hold_is_named_in_the_reports(finished) -> None:
    """A WebP has at most 16 383 pixels a side: the zip lacked the picture, and nothing said so."""
    session, _ = finished
    key, folder = session.new_folder("t")
    long = np.zeros((6, 16400, 3), np.uint8)
    long[:, 4000:9000] = 200
    path = folder / "picture"
    path.write_bytes(encoded(long))
    matte = FakeMatting()(path, None)
    write_results(matte, folder)
    session.targets.append(
        Target(
            key,
            PurePath("long.png"),
            path,
            matte.picture.size,
            "done",
            confidence=0.9,
            results=folder,
        )
    )
    _chosen(session, kinds=["alpha", "cutout"], format="webp")
    archive = _zipped(session)
    assert not [name for name in archive.namelist() if name.startswith("long")]
    rows = list(csv.reader(io.StringIO(archive.read("report.csv").decode())))
    reason = "not in the zip: a WEBP has at most 16383 pixels a side: choose PNG"
    assert rows[1] == ["long.png", "found", "0.9000", reason]
    assert [note for *_, note in rows[2:]] == [""] * 4
    page = archive.read("report.html").decode()
    assert f"failed: {reason}" in page and "5 targets: 1 failed" in page


def test_a_composite_is_written_only_on_a_background_that_was_chosen(finished) -> None:
    session, mattes = finished
    for background, count in (("checker", 0), ("#ff8000", 4)):
        session.background = background
        archive = _zipped(session)
        composites = [name for name in archive.namelist() if ".composite." in name]
        assert len(composites) == count
    found = np.asarray(Image.open(archive.open(composites[0])), int)
    assert np.abs(found - np.asarray(mattes[0].over((255, 128, 0)), int)).max() <= 1


def test_a_picture_that_nothing_is_cut_out_of_is_listed_and_not_exported_blank(finished) -> None:
    session, mattes = finished
    target = session.targets[0]
    write_results(replace(mattes[0], alpha=np.zeros_like(mattes[0].alpha)), target.path.parent)
    target.state = "absent"
    archive = _zipped(session)
    assert not [name for name in archive.namelist() if name.startswith("a/x")]
    rows = list(csv.reader(io.StringIO(archive.read("report.csv").decode())))
    assert rows[1][0] == "a/x.png" and "no files" in rows[1][3]


def test_the_zip_says_which_pictures_may_lack_the_object(finished) -> None:
    session, _ = finished
    first, second, third, fourth = session.targets
    first.confidence = third.confidence = 0.9
    second.state, second.confidence = "absent", 0.2
    third.state, third.reason, third.results = "failed", "it is no picture", None
    fourth.state, fourth.confidence, fourth.results = "absent", 0.1, None
    fourth.reason = "Skipped, as you chose."
    archive = _zipped(session)
    rows = list(csv.reader(io.StringIO(archive.read("report.csv").decode())))
    assert rows[0] == ["picture", "object", "how likely the object is in the picture", "note"]
    assert rows[1:] == [
        ["b/x.jpg", "failed", "", "it is no picture"],
        ["b/x.png", "maybe not in this picture", "0.1000", "Skipped, as you chose."],
        ["b/x.png", "maybe not in this picture", "0.2000", ""],
        ["a/x.png", "found", "0.9000", ""],
    ]
    page = archive.read("report.html").decode()
    assert page.index("b/x.jpg") < page.index("b/x.png") < page.index("a/x.png")
    assert "failed: it is no picture" in page and "Skipped, as you chose." in page
    assert page.count("<img") == 2 * 2 and "http" not in page


def test_the_zip_comes_in_pieces(finished) -> None:
    session, _ = finished
    pieces = [p for p in zip_stream(results_of(session), wanted_of(session), {}) if p]
    assert len(pieces) > 8
    assert max(map(len, pieces)) < sum(map(len, pieces)) / 4


def test_a_single_download_has_the_name_of_the_zip(finished) -> None:
    session, mattes = finished
    content, name, _ = single(session, session.targets[2].key, "alpha")
    assert name == "x.jpg.alpha.png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), mattes[2].alpha * 255)
    for key, kind in (("t0", "alpha"), (session.targets[0].key, "../full")):
        with pytest.raises(InputError):
            single(session, key, kind)


def test_nothing_finished_is_said(session) -> None:
    with pytest.raises(InputError, match="nothing is finished"):
        results_of(session)


def test_stems_keep_the_top_folder() -> None:
    names = [PurePath("trip/a.jpg"), PurePath("trip/b.jpg")]
    assert stems_of(names) == [PurePath("trip/a"), PurePath("trip/b")]


def test_the_command_line_quotes_what_a_visitor_wrote(session) -> None:
    session.background = "#ffffff"
    session.model = "sd21"
    session.absent = "skip"
    command = command_line(session)
    assert command.startswith(
        "icm batch my_pictures --reference object.icmref --model sd21 --absent skip"
    )
    assert "--background '#ffffff'" in command


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(), ""),
        (Progress("working", 4, 0), "Getting the model and your reference ready …"),
        (Progress("working", 4, 0, 10.0, 10.0), "0 of 4 done"),
        (
            Progress("working", 4, 1, 10.0, 12.0),
            "1 of 4 done · 2.0 s a picture · about 6 s left",
        ),
        (Progress("stopping", 4, 1, 10.0, 12.0), "Stopping after this picture. 1 of 4 done."),
        (Progress("stopped", 4, 2, 10.0, 12.0), "Stopped: 2 of 4 done, the rest still waits."),
        (Progress("done", 4, 4, 10.0, 134.0), "All 4 done in 2 min 04 s."),
    ],
)
def test_progress_is_told_in_a_sentence(progress, text) -> None:
    assert progress_view(progress)["text"] == text


def test_the_reports_begin_with_what_needs_a_look(finished) -> None:
    visitor, _ = finished
    for target, sure in zip(visitor.targets, (0.95, 0.4, 0.8, 0.9), strict=True):
        target.confidence = sure
    visitor.targets[1].doubt = "the object may not be the right one"
    visitor.targets[3].doubt = "much of its edge is unclear"
    rows = csv.reader(io.StringIO(_zipped(visitor).read("report.csv").decode()))
    assert [row[2] for row in rows][1:] == ["0.4000", "0.9000", "0.8000", "0.9500"]
