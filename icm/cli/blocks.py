"""`icm blocks [NAME]`: lists the blocks that can be plugged into the network, or explains one."""

from __future__ import annotations

import argparse
import inspect
import re
from typing import TYPE_CHECKING, Any

from icm.errors import ConfigError

if TYPE_CHECKING:
    from icm.blocks.catalogue import Entry, Shapes

PLUG_POINTS = {
    "map": "fusion.blocks",
    "guided": "fusion.guide",
    "pyramid": "fusion.merge",
}


def add_parser(subparsers: Any) -> None:
    """Adds the verb to a command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "blocks",
        help="list the attention and fusion blocks, or explain one",
        description="Blocks from the literature that a configuration can put into the network. "
        "FLOPs count matrix products and convolutions (two a multiply-add); times are medians of "
        "one forward pass on the CPU.",
    )
    parser.add_argument("name", nargs="?", help="explain this block")
    parser.add_argument("--channels", type=_positive, default=64, help="of the map (64)")
    parser.add_argument("--size", type=_size, default=(48, 48), help="of the map, HxW (48x48)")
    parser.add_argument("--batch", type=_positive, default=1, help="maps at once (1)")
    parser.add_argument("--guide-channels", type=_positive, default=64, help="of the guide (64)")
    parser.add_argument("--tokens", type=_positive, default=256, help="of the guide (256)")
    parser.add_argument("--levels", type=_positive, default=3, help="of a pyramid (3)")
    parser.add_argument("--repeats", type=_count, default=5, help="timed passes; 0: no times (5)")
    parser.add_argument(
        "--markdown", action="store_true", help="print the documentation table, without times"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the list or one block's page; 0 on success.

    Raises:
        ConfigError: there is no block of that name.
    """
    from icm.blocks.catalogue import Shapes, catalogue, find_entry  # noqa: PLC0415 - loads torch

    height, width = arguments.size
    shapes = Shapes(
        channels=arguments.channels,
        height=height,
        width=width,
        guide_channels=arguments.guide_channels,
        tokens=arguments.tokens,
        levels=arguments.levels,
        batch=arguments.batch,
    )
    if arguments.name:
        print(page(find_entry(arguments.name), shapes, repeats=arguments.repeats))
    elif arguments.markdown:
        print(markdown_table(catalogue(), shapes))
    else:
        print(listing(catalogue(), shapes, repeats=arguments.repeats))
    return 0


def listing(entries: tuple[Entry, ...], shapes: Shapes, *, repeats: int) -> str:
    """A table for a terminal: name, contract, parameters, FLOPs, time, source."""
    lines = [
        _shapes_line(shapes),
        f"{'block':30} {'contract':8} {'parameters':>10} {'MFLOP':>9} {'ms':>8}  source",
    ]
    for entry in entries:
        parameters, flops, milliseconds = _cost_columns(entry, shapes, repeats)
        lines.append(
            f"{entry.name:30} {entry.contract:8} {parameters:>10} {flops:>9} {milliseconds:>8}"
            f"  {source(entry)}"
        )
    return "\n".join(lines)


def page(entry: Entry, shapes: Shapes, *, repeats: int) -> str:
    """Everything about one block: source, equation, options, cost and an example."""
    parameters, flops, milliseconds = _cost_columns(entry, shapes, repeats)
    return "\n".join(
        [
            f"{entry.name} ({entry.contract} block, {entry.block.__module__})",
            "",
            inspect.getdoc(entry.block) or "",
            "",
            _shapes_line(shapes),
            f"{parameters} parameters, {flops} MFLOP, {milliseconds} ms",
            "",
            "Example:",
            example(entry),
        ]
    )


def markdown_table(entries: tuple[Entry, ...], shapes: Shapes) -> str:
    """The table of the documentation, the same on every machine."""
    lines = [
        f"{_shapes_line(shapes)}",
        "",
        "| block | contract | what | source | parameters | MFLOP |",
        "|---|---|---|---|---:|---:|",
    ]
    for entry in entries:
        parameters, flops, _ = _cost_columns(entry, shapes, 0)
        lines.append(
            f"| `{entry.name}` | {entry.contract} | {entry.summary} | {source(entry)} "
            f"| {parameters} | {flops} |"
        )
    return "\n".join(lines)


def source(entry: Entry) -> str:
    """The paper in one line."""
    return re.sub(r"\s+", " ", entry.section("Paper")).rstrip(".")


def example(entry: Entry) -> str:
    """YAML that puts the block into the network with its default options."""
    import yaml  # noqa: PLC0415 - the help shall not wait for it

    from icm.blocks.build import options_of  # noqa: PLC0415 - loads torch

    options = {
        name: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        for name, parameter in options_of(entry.block).items()
    }
    block: dict[str, Any] = {"name": entry.name}
    if options:
        block["options"] = options
    group, key = PLUG_POINTS[entry.contract].split(".")
    return yaml.safe_dump({group: {key: [block]}}, sort_keys=False).rstrip()


def _cost_columns(entry: Entry, shapes: Shapes, repeats: int) -> tuple[str, str, str]:
    from icm.blocks.catalogue import measure  # noqa: PLC0415 - loads torch

    try:
        cost = measure(entry, shapes, repeats=repeats)
    except ConfigError:  # not at this width; the page of the block says why
        return "-", "-", "-"
    milliseconds = f"{cost.seconds * 1e3:.2f}" if repeats else "-"
    return f"{cost.parameters}", f"{cost.flops / 1e6:.2f}", milliseconds


def _shapes_line(shapes: Shapes) -> str:
    return (
        f"At batch {shapes.batch}, {shapes.channels} channels, {shapes.height} x {shapes.width} "
        f"positions; a guide of {shapes.tokens} tokens with {shapes.guide_channels} channels; "
        f"pyramids of {shapes.levels} levels."
    )


def _positive(text: str) -> int:
    value = _count(text)
    if value == 0:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return value


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is no size: write for example 48x64")
    return int(match[1]), int(match[2])
