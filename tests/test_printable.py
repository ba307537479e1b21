"""Text from outside: different names stay different, and nothing commands a terminal."""

from __future__ import annotations

import os
import unicodedata
from pathlib import PurePath

from hypothesis import given
from hypothesis import strategies as st

from icm.printable import path_text, visible

# Names of few kinds of bytes, so that those which look like one another come up.
NAMES = st.lists(
    st.sampled_from([b"\\", b"x", b"f", b"\xff", b"\\xff", b"a"]), min_size=1, max_size=8
).map(lambda parts: PurePath(os.fsdecode(b"".join(parts))))


@given(NAMES, NAMES)
def test_different_names_have_different_texts(one: PurePath, other: PurePath) -> None:
    assert (path_text(one) == path_text(other)) == (one == other)
    assert path_text(one).encode()  # is text


def test_ordinary_names_are_their_own_text() -> None:
    for name in ("a/b.jpg", "ü/名.png", r"back\slash.jpg", "with space/new\nline"):
        assert path_text(PurePath(name)) == name


def test_bytes_are_spelt_out() -> None:
    assert path_text(PurePath(os.fsdecode(b"a/\xff.png"))) == r"a/\xff.png"
    assert path_text(PurePath(r"a/\xff.png")) == r"a/\\xff.png"
    assert path_text(PurePath("\ud800")) == r"\xed\xa0\x80"


@given(st.text())
def test_nothing_commands_a_terminal(text: str) -> None:
    shown = visible(text)
    kinds = {unicodedata.category(each) for each in shown if each not in "\n\t"}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert "\n" not in visible(text, one_line=True)
    shown.encode()


def test_what_is_seen_stays() -> None:
    assert visible("ü 名 – 'x'\n\ttab") == "ü 名 – 'x'\n\ttab"
    assert visible("\x1b[2J\u202egnp") == r"\x1b[2J\u202egnp"
