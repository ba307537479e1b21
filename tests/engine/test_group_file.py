"""Files that list references with their targets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icm.engine import Stop, run_folder
from icm.engine.group_file import read_groups
from icm.engine.jobs import Group
from icm.errors import InputError
from icm.results import Points
from tests.engine.conftest import Followed, Requests


def _read(path: Path, content: object) -> tuple[Group, ...]:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_groups(path, Path("/in"), lambda folder: [folder / "listed.png"])


def test_references_and_targets(tmp_path: Path) -> None:
    content = {
        "groups": [
            {
                "name": "cup",
                "references": [{"image": "r.jpg", "mask": "m.png"}, {"image": "cut.png"}],
                "targets": ["a.jpg", "b/c.jpg"],
            }
        ]
    }
    (group,) = _read(tmp_path / "g.json", content)
    assert group.name == "cup"
    assert group.references == (("/in/r.jpg", "/in/m.png"), ("/in/cut.png", None))
    assert group.targets == (Path("/in/a.jpg"), Path("/in/b/c.jpg"))


def test_members_of_which_the_first_is_the_reference(tmp_path: Path) -> None:
    members = [{"image": f"{n}.jpg", "alpha": f"{n}.alpha.png"} for n in range(3)]
    members[0]["mask"] = "0.mask.png"
    (group,) = _read(tmp_path / "g.json", [{"name": "x", "members": members, "set": "any"}])
    assert group.references == (("/in/0.jpg", "/in/0.mask.png"),)
    assert group.targets == (Path("/in/1.jpg"), Path("/in/2.jpg"))


def test_csv_rows_add_references_and_targets(tmp_path: Path) -> None:
    rows = "group,reference,mask,target\ncup,r.jpg,m.png,a.jpg\ncup,r.jpg,m.png,b.jpg\n"
    rows += "cat,c.icmref,,\ncat,,,z.jpg\n"
    cup, cat = _read(tmp_path / "g.csv", rows)
    assert cup.references == (("/in/r.jpg", "/in/m.png"),)
    assert cup.targets == (Path("/in/a.jpg"), Path("/in/b.jpg"))
    assert cat.references == (("/in/c.icmref", None),)
    assert cat.targets == (Path("/in/z.jpg"),)


def test_points_in_place_of_a_mask(tmp_path: Path) -> None:
    marked = Points(inside=((120, 80), (40.5, 60)), outside=((5, 5),))
    written = {"image": "r.jpg", "points": [[120, 80], [40.5, 60]], "not_points": [[5, 5]]}
    as_text = {"image": "r.jpg", "points": "120,80 40.5,60", "not_points": "5,5"}
    for item in (written, as_text):
        (group,) = _read(
            tmp_path / "g.json", [{"name": "cup", "references": [item], "targets": ["a.jpg"]}]
        )
        assert group.references == (("/in/r.jpg", marked),)
    rows = "group,reference,mask,points,not_points,target\n"
    rows += 'cup,r.jpg,,"120,80 40.5,60","5,5",a.jpg\ncup,s.jpg,m.png,,,b.jpg\n'
    (group,) = _read(tmp_path / "g.csv", rows)
    assert group.references == (("/in/r.jpg", marked), ("/in/s.jpg", "/in/m.png"))


def test_points_in_a_groups_file_are_those_of_the_command_line(
    request_of: Requests, tmp_path: Path
) -> None:
    picture = request_of.root.parent / "reference.png"
    points = {"image": str(picture), "points": [[32, 24]], "not_points": [[2, 2]]}
    path = tmp_path / "g.json"
    path.write_text(json.dumps([{"name": "x", "references": [points], "targets": ["a/0.png"]}]))
    groups = read_groups(path, request_of.root, lambda folder: [])
    request = request_of.of(groups)
    made = request.make_reference(groups[0].references)
    marks = Points(inside=((32, 24),), outside=((2, 2),))
    expected = request_of.matting.reference(str(picture), marks)
    assert made.examples[0].mask_b1hw.equal(expected.examples[0].mask_b1hw)
    listener = Followed()
    run_folder(request, tmp_path / "out", Stop(), listener)
    assert set(listener.states.values()) == {"done"}


def test_a_folder_among_the_targets_is_listed(tmp_path: Path) -> None:
    (tmp_path / "in" / "many").mkdir(parents=True)
    path = tmp_path / "g.csv"
    path.write_text("group,reference,mask,target\ncup,r.jpg,m.png,many\n")
    (group,) = read_groups(path, tmp_path / "in", lambda folder: [folder / "1.png"])
    assert group.targets == (tmp_path / "in" / "many" / "1.png",)


def _marked(**marks: object) -> list[dict[str, object]]:
    reference = {"image": "r.jpg", **marks}
    return [{"name": "x", "references": [reference], "targets": ["a"]}]


_REFERENCE = [{"image": "r.jpg", "mask": "m.png"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.json", "{", "not valid JSON"),
        ("g.json", {"groups": {}}, "expected"),
        ("g.json", [], "no groups"),
        ("g.json", [{"references": _REFERENCE, "targets": ["a"]}], "name is .*: Field required"),
        ("g.json", [{"name": "x", "references": [], "targets": ["a"]}], "'x' has no reference"),
        ("g.json", [{"name": "x", "references": _REFERENCE, "targets": []}], "'x' has no target"),
        ("g.json", [{"name": "../x", "references": _REFERENCE, "targets": ["a"]}], "folder's name"),
        ("g.json", [{"name": "..", "references": _REFERENCE, "targets": ["a"]}], "folder's name"),
        ("g.json", [{"name": "x", "members": []}], "expected"),
        ("g.csv", "name,target\nx,a\n", "expected the columns"),
        ("g.json", _marked(mask="m.png", points="1,2"), "r.jpg has a mask and points"),
        ("g.json", _marked(not_points="1,2"), "not_points without points"),
        ("g.json", _marked(points="1 2"), "g.json: '1 2': write points as"),
        ("g.json", _marked(points=[[1, 2, 3]]), "expected"),
        ("g.csv", "group,reference,points,target\nx,r.jpg,1-2,a\n", "g.csv.*'1-2': write points"),
        ("g.txt", "x", ".json or .csv"),
    ],
)
def test_faults_are_named(tmp_path: Path, name: str, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path / name, content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the groups"):
        read_groups(tmp_path / "none.json", tmp_path, lambda folder: [])


def test_the_validation_set_is_such_a_file(shared_data: Path) -> None:
    groups = read_groups(shared_data / "val" / "groups.json", shared_data, lambda folder: [])
    assert len(groups) == 33
    for group in groups:
        ((picture, mask),) = group.references
        assert Path(picture).is_file()
        assert mask is not None and Path(mask).is_file()
        assert all(target.is_file() for target in group.targets)
