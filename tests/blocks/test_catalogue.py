"""What is said of the blocks: documentation in parts, parameters, FLOPs, the verb, the table."""

import argparse
from pathlib import Path

import pytest
import torch
import yaml

from icm.blocks import GUIDED_BLOCKS, MAP_BLOCKS, PYRAMID_BLOCKS
from icm.blocks.build import build_guided_blocks, build_map_blocks, build_pyramid_blocks
from icm.blocks.catalogue import Shapes, catalogue, find_entry, measure
from icm.cli import blocks as verb
from icm.config.blocks import BlockConfig
from icm.errors import ConfigError

DOCUMENT = Path(__file__).parents[2] / "docs" / "blocks.md"
SMALL = ["--channels", "8", "--size", "6x5", "--tokens", "4", "--guide-channels", "8"]

each_block = pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)


def call(capsys, *words):
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    assert verb.run(parser.parse_args(["blocks", *words])) == 0
    return capsys.readouterr().out


@each_block
def test_documentation_has_all_parts(entry):
    for title in ("Paper", "Equation", "Shapes", "Cost", "Args"):
        assert entry.section(title), f"{entry.name} says nothing under {title}"
    assert "arXiv" in entry.section("Paper")
    assert "->" in entry.section("Shapes")
    assert entry.summary.endswith(".")


def test_the_catalogue_holds_every_registered_block_once():
    names = [entry.name for entry in catalogue()]
    assert names == [*MAP_BLOCKS, *GUIDED_BLOCKS, *PYRAMID_BLOCKS]
    assert len(set(names)) == len(names)


def test_counts_equal_those_by_hand():
    shapes = Shapes(channels=32, height=5, width=7)
    cost = measure(find_entry("squeeze_excitation"), shapes, repeats=0)
    assert (cost.parameters, cost.flops, cost.seconds) == (2 * 32 * 2, 2 * 2 * 32 * 2, 0.0)
    cost = measure(find_entry("dot_product_free"), shapes, repeats=0)
    assert (cost.parameters, cost.flops) == (0, 2 * 2 * 35 * 35 * 32)
    cost = measure(find_entry("cbam_spatial"), shapes, repeats=1, kernel=3)
    assert (cost.parameters, cost.flops) == (18, 2 * 18 * 35)
    assert cost.seconds > 0


def test_unknown_name_lists_all():
    with pytest.raises(ConfigError, match=r"unknown block 'cbma' \(valid: adaptive_spatial, cbam"):
        find_entry("cbma")


def test_verb_lists_every_block(capsys):
    text = call(capsys, *SMALL, "--repeats", "1")
    lines = {line.split()[0]: line.split() for line in text.splitlines()[2:]}
    assert set(lines) == {entry.name for entry in catalogue()}
    assert lines["cbam_channel"][1:3] == ["map", "16"]
    assert all(float(columns[4]) > 0 for columns in lines.values())


def test_verb_says_when_a_block_does_not_fit(capsys):
    text = call(capsys, *SMALL, "--repeats", "0", "--channels", "10")
    line = next(line for line in text.splitlines() if line.startswith("dot_product "))
    assert line.split()[2:5] == ["-", "-", "-"]


@each_block
def test_page_shows_source_equation_and_an_example_that_builds(entry, capsys):
    text = call(capsys, entry.name, *SMALL, "--repeats", "0")
    assert entry.section("Paper").split("\n")[0] in text
    assert "Equation:" in text
    example = yaml.safe_load(text.split("Example:\n")[1])
    (options,) = example.values()
    ((key, (values,)),) = options.items()
    config = BlockConfig(**values)
    assert key == {"map": "blocks", "guided": "guide", "pyramid": "merge"}[entry.contract]
    builders = {
        "map": lambda: build_map_blocks([config], 8),
        "guided": lambda: build_guided_blocks([config], 8, 8),
        "pyramid": lambda: build_pyramid_blocks([config], (8, 8), 8),
    }
    assert isinstance(builders[entry.contract](), torch.nn.Module)


@pytest.mark.parametrize("words", [["--size", "48"], ["--channels", "0"], ["--tokens", "-3"]])
def test_wrong_numbers_are_refused(words, capsys):
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["blocks", *words])


def test_the_documented_table_is_the_current_one(capsys):
    table = call(capsys, "--markdown").strip()
    assert table in DOCUMENT.read_text(encoding="utf-8"), (
        "docs/blocks.md is not the output of `icm blocks --markdown`"
    )
