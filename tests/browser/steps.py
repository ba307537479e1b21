"""What a person does on the page, for several tests."""

from __future__ import annotations

FINISHED = ":is(.icm-is-done, .icm-is-check, .icm-is-absent, .icm-is-skipped, .icm-is-failed)"


def session_of(page, served):
    """The server's side of a page."""
    return served.state.registry.get(page.evaluate("icm.token"))


def finish_example(page) -> None:
    """Takes the example pictures and cuts them out."""
    page.get_by_role("button", name="Try an example").click()
    wait_for_cards(page, ".icm-is-waiting", 4)
    page.locator("#run").click()
    wait_for_cards(page, FINISHED, 4)
    page.locator("#viewer .icm-after").wait_for()
    page.wait_for_function("document.querySelector('#viewer .icm-after').naturalWidth > 0")


def wait_for_cards(page, selector: str, count: int) -> None:
    """Waits until so many cards of the tray match."""
    page.wait_for_function(
        "([selector, count]) => document.querySelectorAll(selector).length === count",
        arg=[selector, count],
    )


def add_photo(page, name: str, content: bytes) -> None:
    """Uploads a photo of the object and waits until it can be painted on."""
    label = page.get_by_label("Choose a photo").or_(page.get_by_label("Add another photo"))
    label.locator("visible=true").first.set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )
    page.wait_for_function(
        "name => document.querySelector('#easel .icm-sheet img').alt.endsWith(name)", arg=name
    )
    page.wait_for_function("document.querySelector('#easel .icm-sheet img').naturalWidth > 0")


def add_targets(page, pictures: dict[str, bytes], expected: int) -> None:
    """Uploads pictures and waits until so many cards wait."""
    page.get_by_label("Choose pictures").set_input_files(
        [
            {"name": name, "mimeType": "image/png", "buffer": content}
            for name, content in pictures.items()
        ]
    )
    wait_for_cards(page, ".icm-is-waiting", expected)


def paint_square(page, box: tuple[float, float, float, float], *, size: int = 10) -> None:
    """Paints a filled square; `box` is left, top, right, end in shares of the photo."""
    page.locator("#easel").get_by_label("Brush", exact=True).check(force=True)
    page.locator("#easel input[type=range]").fill(str(size))
    sheet = page.locator("#easel canvas").bounding_box()
    left, top = sheet["x"] + box[0] * sheet["width"], sheet["y"] + box[1] * sheet["height"]
    right, end = sheet["x"] + box[2] * sheet["width"], sheet["y"] + box[3] * sheet["height"]
    inset = size / 2  # the brush reaches half its width beyond its path
    rows = [top + inset]
    while rows[-1] < end - inset:
        rows.append(min(rows[-1] + size * 0.6, end - inset))
    page.mouse.move(left + inset, rows[0])
    page.mouse.down()
    for number, row in enumerate(rows):
        ends = (left + inset, right - inset)
        start, stop = ends if number % 2 == 0 else ends[::-1]
        page.mouse.move(start, row)
        page.mouse.move(stop, row, steps=3)
    page.mouse.up()
