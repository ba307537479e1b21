"""The whole way in a real browser: from a photo and a mouse to a zip whose pictures are checked."""

from __future__ import annotations

import threading
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from app.runs import reference_of
from tests.app.pictures import disc, encoded, rotated_jpeg
from tests.app.serving import until
from tests.browser.steps import (
    FINISHED,
    add_photo,
    add_targets,
    paint_square,
    session_of,
    wait_for_cards,
)

pytestmark = pytest.mark.browser


@contextmanager
def busy_device(served):
    """Holds the device, so that runs wait behind it."""
    gate = threading.Event()
    ticket = served.state.device.submit(gate.wait)
    try:
        yield gate
    finally:
        gate.set()
        ticket.future.result(60)


def disagreement(pictures, expected) -> float:
    return float(np.abs(np.asarray(pictures, int) - np.asarray(expected, int)).max())


@pytest.mark.parametrize(
    ("name", "content", "box"),
    [
        ("side.jpg", rotated_jpeg(disc(600, 400)), (0.25, 0.3, 0.75, 0.7)),
        ("tall.png", encoded(disc(1600, 200)), (0.2, 0.04, 0.8, 0.3)),
        ("wide.png", encoded(disc(200, 1600)), (0.04, 0.2, 0.3, 0.8)),
    ],
)
def test_a_painted_square_is_the_mask_that_the_network_receives(
    visit, served, name, content, box
) -> None:
    page = visit()
    add_photo(page, name, content)
    page.locator("#easel .icm-stage").scroll_into_view_if_needed()
    paint_square(page, box)
    page.get_by_text("Marked:").wait_for()
    page.evaluate("icm.settled()")
    session = session_of(page, served)
    reference = reference_of(session, served.state.models.matting("small"))
    found = reference.examples[0].mask_b1hw[0, 0].numpy()
    height, width = found.shape
    fine = np.zeros((height * 8, width * 8), np.float32)
    left, top, right, end = (
        round(share * side * 8) for share, side in zip(box, (width, height) * 2, strict=True)
    )
    fine[top:end, left:right] = 1
    expected = fine.reshape(height, 8, width, 8).mean(axis=(1, 3))
    overlap = np.minimum(found, expected).sum() / np.maximum(found, expected).sum()
    assert overlap >= 0.97


def test_from_upload_to_zip(visit, served, tmp_path) -> None:
    page = visit()
    add_photo(page, "photo.png", encoded(disc(300, 400)))
    paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Paint over the whole object").wait_for()
    paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
    deep = np.full((60, 90), 20000, np.uint16)
    deep[20:40, 20:50] = 60000
    targets = {
        "side.jpg": rotated_jpeg(disc(150, 90)),
        "clear.png": encoded(np.dstack([disc(80, 70), np.full((80, 70), 200, np.uint8)])),
        "deep.png": encoded(deep),
        "grey.png": encoded(disc(64, 100)[..., 0]),
    }
    sizes = {"side": (90, 150), "clear": (70, 80), "deep": (90, 60), "grey": (100, 64)}
    add_targets(page, targets, 4)
    page.locator("#run").click()
    wait_for_cards(page, FINISHED, 4)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download all 4").click()
    path = tmp_path / "mattes.zip"
    waiting.value.save_as(path)
    archive = zipfile.ZipFile(path)
    assert archive.testzip() is None
    assert len(archive.namelist()) == 10  # two of each picture, and the report
    session = session_of(page, served)
    matting = served.state.models.matting("small")
    reference = reference_of(session, matting)
    for name, size in sizes.items():
        alpha = Image.open(archive.open(f"{name}.alpha.png"))
        assert alpha.size == Image.open(archive.open(f"{name}.cutout.png")).size == size
        target = next(each for each in session.targets if each.name.stem == name)
        matte = matting(target.path, reference)
        assert disagreement(alpha, np.rint(matte.alpha * 255)) <= 1
        cutout = Image.open(archive.open(f"{name}.cutout.png"))
        assert disagreement(cutout, matte.cutout()) <= 1
    shown = page.evaluate(
        """async (bytes) => {
            const image = new Image();
            image.src = URL.createObjectURL(new Blob([new Uint8Array(bytes)]));
            await image.decode();
            return [image.naturalWidth, image.naturalHeight];
        }""",
        list(targets["side.jpg"]),
    )
    assert tuple(shown) == sizes["side"]
    _look_around(page, served, session)


def _look_around(page, served, session) -> None:
    """Every side of the result; a new background needs no device."""
    with busy_device(served):
        for side in ("Cut-out", "Alpha", "Guidance", "Before / after"):
            page.locator("#viewer").get_by_role("radio", name=side, exact=True).check(force=True)
            page.wait_for_function("document.querySelector('.icm-after').naturalWidth > 0")
        for _ in range(8):  # a small picture is shown in full only far beyond 100 %
            larger = page.locator("#viewer").get_by_role("button", name="Larger view")
            if larger.is_enabled():
                larger.click()
        page.wait_for_function("document.querySelector('.icm-after').src.includes('full.cutout')")
        page.get_by_label("White").check(force=True)
        until(lambda: session.background == "#ffffff")
        page.get_by_label("Before and after").press("ArrowLeft")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Composite").click()
    corner = np.asarray(Image.open(waiting.value.path()).convert("RGB"))
    target = next(each for each in session.targets if each.key == session.chosen_target)
    alpha = np.asarray(Image.open(target.results / "full.alpha.png"))
    assert (corner[alpha == 0] == 255).all()


def test_a_corrupt_and_an_over_large_upload_are_refused_in_words(visit, served) -> None:
    page = visit()
    page.get_by_label("Choose pictures").set_input_files(
        [
            {"name": "good.png", "mimeType": "image/png", "buffer": encoded(disc())},
            {"name": "bad.png", "mimeType": "image/png", "buffer": encoded(disc())[:-50]},
        ]
    )
    wait_for_cards(page, ".icm-is-waiting", 1)
    page.get_by_text("the file is damaged").wait_for()
    page.get_by_role("button", name="Dismiss bad.png").click()
    wait_for_cards(page, ".icm-is-failed", 0)
    # Playwright passes no buffer of this size to an input, so the browser makes the file itself.
    page.evaluate(
        """async (size) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(size)], "huge.png", {type: "image/png"}));
            const input = document.querySelector("#tray input[multiple]");
            input.files = data.files;
            input.dispatchEvent(new Event("change"));
        }""",
        served.state.settings.max_upload + 1,
    )
    page.get_by_text("more than 50 megabytes").wait_for()
    page.locator("#run").click()
    page.get_by_text("first mark the object").wait_for()


def test_stop_reload_and_two_visitors(visit, served) -> None:
    ann, bob = visit(), visit(width=390, height=844)
    for page, name in ((ann, "ann.png"), (bob, "bob.png")):
        add_photo(page, name, encoded(disc()))
        paint_square(page, (0.3, 0.3, 0.5, 0.6), size=24)
        add_targets(page, {f"{n}-{name}": encoded(disc()) for n in range(2)}, 2)
    assert ann.get_by_text("bob.png").count() == bob.get_by_text("ann.png").count() == 0
    with busy_device(served):
        ann.locator("#run").click()
        ann.get_by_text("Waiting for the device: 1 run is before you").wait_for()
        bob.locator("#run").click()
        bob.get_by_text("Waiting for the device: 2 runs are before you").wait_for()
        bob.locator("#stop").click()
        bob.get_by_text("Stopped: 0 of 2 done").wait_for()
        ann.reload()
        ann.get_by_text("Waiting for the device: 1 run is before you").wait_for()
    wait_for_cards(ann, FINISHED, 2)
    ann.get_by_text("All 2 done").wait_for()
    ann.get_by_text("Marked:").wait_for()
    bob.locator("#run").click()
    wait_for_cards(bob, FINISHED, 2)


def test_painting_by_keyboard_and_a_saved_reference(visit, served, tmp_path) -> None:
    page = visit()
    add_photo(page, "photo.png", encoded(disc(300, 400)))
    page.locator("#easel").get_by_label("Brush", exact=True).check(force=True)
    page.locator("#easel canvas").focus()
    for key in ("Space", "ArrowLeft", "ArrowLeft", "ArrowUp", "Space"):
        page.keyboard.press(key)
    page.get_by_text("Marked:").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save reference").click()
    path = tmp_path / "object.icmref"
    waiting.value.save_as(path)
    assert session_of(page, served).photos[0].marked
    other = visit()
    other.get_by_label("Open a saved reference").set_input_files(path)
    other.get_by_text("a saved reference, ready to use").wait_for()
    other.get_by_role("button", name="Remove object.icmref").click()
    other.get_by_text("Drop a photo of the object here").wait_for()


def test_a_folder_keeps_its_sub_folders(visit, served, tmp_path) -> None:
    (tmp_path / "trip" / "day").mkdir(parents=True)
    (tmp_path / "trip" / "a.png").write_bytes(encoded(disc()))
    (tmp_path / "trip" / "day" / "a.png").write_bytes(encoded(disc()))
    (tmp_path / "trip" / "notes.txt").write_text("no picture")
    page = visit()
    page.get_by_label("Choose a folder").set_input_files(tmp_path / "trip")
    wait_for_cards(page, ".icm-is-waiting", 2)
    names = {target.name.as_posix() for target in session_of(page, served).targets}
    assert names == {"trip/a.png", "trip/day/a.png"}
    page.get_by_text("Left out, no pictures: trip/notes.txt.").wait_for()


def test_a_pasted_picture_becomes_the_photo(visit) -> None:
    page = visit()
    page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
            dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));
        }""",
        list(encoded(disc())),
    )
    page.get_by_alt_text("Photo of the object: pasted.png").wait_for()
