"""Names of results: no two targets ever share one."""

from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icm.config.results import FORMATS
from icm.errors import InputError
from icm.images import output_path, output_stems
from icm.images.naming import ENDINGS


def stems(names, root=None):
    return [stem.as_posix() for stem in output_stems(names, root)]


def test_below_a_folder():
    assert stems(["in/a/b.jpg", "in/c.png"], "in") == ["a/b", "c"]
    assert output_path("out", PurePath("a/b"), "alpha") == Path("out/a/b.alpha.png")
    assert output_path("out", PurePath("b.jpg"), "cutout") == Path("out/b.jpg.cutout.png")


def test_both_keep_their_extension():
    names = ["in/b.jpg", "in/b.png", "in/sub/b.png", "in/c.jpg"]
    assert stems(names, "in") == ["b.jpg", "b.png", "sub/b", "c"]


def test_a_kept_extension_gives_way_to_none():
    assert stems(["b.jpg", "b.png", "b.jpg.png"]) == ["b.jpg", "b.png", "b.jpg.png"]


def test_single_targets_of_several_folders():
    assert stems(["x/a.jpg"]) == ["a"]
    assert stems(["x/a.jpg", "y/a.jpg"]) == ["x/a", "y/a"]
    assert stems(["x/a.jpg", "x/b.jpg"]) == ["a", "b"]


def test_uploads_of_the_same_name_are_numbered():
    assert stems(["a.jpg", "a-2.jpg", "a.jpg", "a.jpg"]) == ["a", "a-2", "a-3", "a-4"]


def test_dots_in_names():
    assert stems([".hidden.jpg", "v1.2.jpg", "no extension"]) == [".hidden", "v1.2", "no extension"]


def test_a_folder_with_the_name_of_a_result_of_any_format_is_avoided():
    assert set(ENDINGS) == set(FORMATS.values())
    for ending in ENDINGS:
        folder = f"b.alpha{ending}"
        assert stems(["b.jpg", f"{folder}/c.jpg"]) == ["b.jpg", f"{folder}/c"]


def test_nothing_lands_outside():
    with pytest.raises(InputError, match="does not lie in"):
        output_stems(["in/../elsewhere/a.jpg"], "in")
    with pytest.raises(InputError, match="does not lie in"):
        output_stems(["in"], "in")
    assert output_stems([]) == []


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["", "x/", "x/y/"]),
        st.sampled_from(["a", "b", "a-2", "a.jpg", "a.jpg.png"]),
        st.sampled_from(["", ".jpg", ".png", ".JPG"]),
    ).map("".join),
    max_size=12,
)


@settings(derandomize=True, deadline=None)
@given(NAMES)
def test_all_different(names):
    found = stems(names, ".")
    assert len(set(found)) == len(names)
    for name, stem in zip(names, found, strict=True):
        assert PurePath(stem).parent == PurePath(name).parent
        assert PurePath(stem).name.startswith(PurePath(name).stem)
