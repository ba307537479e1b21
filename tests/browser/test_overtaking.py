"""Answers that overtake one another: the page never goes back to an older state."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="


def test_an_older_answer_never_replaces_a_newer_one(visit) -> None:
    shown = visit().evaluate(
        """() => {
            const shown = [], props = {value: null};
            let changed;
            icm.widgets.probe = () => (value) => shown.push(value.text);
            const element = document.createElement("div");
            element.append(document.createElement("p"));
            icm.widget("probe", element, null, props, (name, call) => { changed = call; });
            shown.push(element.firstChild.hidden);
            for (const [version, text] of [[3, "first"], [5, "newer"], [4, "late"], [5, "again"]]) {
                props.value = {version, text};
                changed();
            }
            shown.push(element.firstChild.hidden);
            return shown;
        }"""
    )
    assert shown == [True, "first", "newer", "again", False]


def test_a_background_stays_until_the_server_has_heard_of_it(visit) -> None:
    """The choice, an answer from before it, the answer to it, and a choice on another page."""
    colours = visit().evaluate(
        """(pixel) => {
            const files = {cutout: pixel, before: pixel, alpha: pixel, guidance: pixel};
            const result = {key: "t", name: "a.png", height: 9, width: 9, present: true,
                confidence: 1, look: files, full: files, downloads: files};
            const element = document.createElement("div");
            document.body.append(element);
            const show = icm.widgets.viewer(element, () => {});
            const colours = [];
            const answered = (background) => {
                show({result, keys: ["t"], background, picture: null, done: 1, zip: ""});
                colours.push(element.querySelector(".icm-behind").style.backgroundColor);
            };
            answered("checker");
            element.querySelector("input[value=white]").click();
            answered("checker");
            answered("#ffffff");
            answered("#000000");
            element.remove();
            return colours;
        }""",
        PIXEL,
    )
    assert colours == ["", "rgb(255, 255, 255)", "rgb(255, 255, 255)", "rgb(0, 0, 0)"]
