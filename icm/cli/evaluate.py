"""`icm evaluate`: measures a model on pictures with known mattes, baselines beside it."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm.cli.model_options import add_model_options, load_model
from icm.cli.progress import Progress
from icm.errors import InputError

if TYPE_CHECKING:
    from icm.matting import Matting
    from icm.research.evaluation import Group, Part, Plan, Predictor
    from icm.research.evaluation.edges import Enlarge

PARTS = ("present", "wrong", "absent", "held_out", "finishing", "edges")
DEFAULT_PARTS = PARTS[:4]  # edges take as long as all others together
ROWS = ("model", "guided", "colour", "centred", "constant")
KEEP = "finish.absent=keep"  # what saliency alone gives is never withheld
BENCHMARK_ROUNDS = 3
GUIDED = "guided finishing"
SHEET, WORST = "sheet.png", "worst.png"


def add_parser(subparsers: Any) -> None:
    """Adds the verb to a command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="measure a model on pictures with known mattes",
        description="Measures a model and two kinds of baselines on validation groups "
        "(groups.json) or on a benchmark (folders image, alpha, trimap). Writes report.json, "
        "report.md, report.html, pairs.csv and picture sheets, and prints the means.",
    )
    parser.add_argument("--data", required=True, metavar="FOLDER", help="pictures with mattes")
    parser.add_argument("-o", "--out", required=True, metavar="FOLDER", help="where reports go")
    parser.add_argument(
        "--cutouts",
        metavar="FOLDER",
        help="folder that holds train/, whose held-back cut-outs judge edges "
        "(default: the parent of --data, if it does)",
    )
    parser.add_argument("--classes", metavar="JSON", help="classes of a benchmark's pictures")
    parser.add_argument("--sets", type=_words, default=(), metavar="A,B", help="only these sets")
    parser.add_argument(
        "--parts",
        type=_of(PARTS),
        default=DEFAULT_PARTS,
        metavar="A,B",
        help=f"of {', '.join(PARTS)} (default: the first four; edges includes finishing)",
    )
    parser.add_argument(
        "--rows",
        type=_of(ROWS),
        default=("model", "colour", "constant"),
        metavar="A,B",
        help=f"of {', '.join(ROWS)} (default: model,colour,constant)",
    )
    parser.add_argument(
        "--edge-sets",
        type=_words,
        default=(),
        metavar="A,B",
        help="edges: only these sets, as cut-outs, pictograms, fur, hair, leaves",
    )
    parser.add_argument(
        "--max-references", type=_count, metavar="N", help="of each group (default: all)"
    )
    parser.add_argument("--max-groups", type=_count, metavar="N", help="of each set (default: all)")
    parser.add_argument(
        "--rounds",
        type=_count,
        metavar="N",
        help="N random references of each group instead of each member (benchmarks: 3)",
    )
    parser.add_argument("--draw-seed", type=int, default=0, help="of all random draws (0)")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluates and writes the reports; 0 on success.

    Raises:
        InputError: the data cannot be read.
        IcmError: the model cannot be loaded.
    """
    from icm.research.evaluation import (  # noqa: PLC0415 - loads torch
        Evaluation,
        overview,
        presence_of,
        presence_table,
        reference_use,
        write_report,
    )
    from icm.research.evaluation import run as run_plan  # noqa: PLC0415 - loads torch
    from icm.research.evaluation.tables import as_text  # noqa: PLC0415 - beside the others

    plan, benchmark = _plan(arguments)
    matting = (
        load_model(arguments) if {"model", "guided", "constant"} & set(arguments.rows) else None
    )
    if matting is not None and plan.finished:
        plan = replace(plan, finishing=_finishing(matting), size_of=matting.input_size)
    predictors = _predictors(arguments, matting)
    with Progress(plan.steps(predictors)) as progress:
        parts, scores = run_plan(plan, predictors, progress.advance)
    out = Path(arguments.out)
    pictures = _sheets(plan, predictors[0], parts, scores, out)
    presence = presence_of(scores)
    evaluation = Evaluation(_facts(arguments, matting, benchmark), parts, presence=presence)
    write_report(evaluation, scores, out, pictures)
    for table in (*map(overview, parts), reference_use(parts), presence_table(presence)):
        if table is not None:
            print(as_text(table))
    print(f"\n{out / 'report.html'}")
    return 0


def _plan(arguments: argparse.Namespace) -> tuple[Plan, str]:
    """What to run, and a line that says what kind of data it is."""
    from icm.research.evaluation import (  # noqa: PLC0415 - loads torch
        Plan,
        ValidationSet,
        is_benchmark,
        read_benchmark,
        read_validation,
        selected,
    )

    parts, rounds = arguments.parts, arguments.rounds
    if is_benchmark(arguments.data):
        data = ValidationSet(read_benchmark(arguments.data, arguments.classes), absent=())
        kind, rounds = _benchmark_kind(arguments.data), rounds or BENCHMARK_ROUNDS
    else:
        data, kind = read_validation(arguments.data), "validation groups"
    pool = data.groups
    groups = selected(pool, arguments.sets, arguments.max_groups)
    if not groups:
        known = sorted({group.set_name for group in pool})
        raise InputError(f"no such set in {arguments.data}: choose of {', '.join(known)}")
    names = {(group.set_name, group.name) for group in groups}
    absent = tuple(pair for pair in data.absent if (pair.set_name, pair.group) in names)
    plan = Plan(
        groups=groups if "present" in parts or "wrong" in parts else (),
        absent=absent if "absent" in parts else (),
        held_out=_held_out(arguments) if "held_out" in parts else (),
        edges=_edges(arguments) if "edges" in parts else (),
        finished=_edges(arguments) if {"finishing", "edges"} & set(parts) else (),
        pool=pool if "wrong" in parts else (),
        present="present" in parts,
        most_references=arguments.max_references,
        rounds=rounds,
        seed=arguments.draw_seed,
    )
    return plan, kind


def _benchmark_kind(folder: str) -> str:
    from icm.research.evaluation import has_trimaps  # noqa: PLC0415 - loads torch
    from icm.research.evaluation.benchmarks import MADE_BAND  # noqa: PLC0415 - beside the others

    band = "its trimaps" if has_trimaps(folder) else f"made from alpha, {MADE_BAND} px wide"
    return f"benchmark; unknown band: {band}"


def _held_out(arguments: argparse.Namespace) -> tuple[Group, ...]:
    from icm.research.evaluation import (  # noqa: PLC0415 - loads torch
        held_out_groups,
        selected,
    )

    root = Path(arguments.cutouts or Path(arguments.data).resolve().parent)
    if arguments.cutouts is None and not (root / "train" / "cutouts").is_dir():
        return ()
    return selected(held_out_groups(root, arguments.draw_seed), (), arguments.max_groups)


def _edges(arguments: argparse.Namespace) -> tuple[Group, ...]:
    from icm.research.evaluation import (  # noqa: PLC0415 - loads torch
        edge_groups,
        selected,
    )

    root = Path(arguments.cutouts or Path(arguments.data).resolve().parent)
    sets = tuple(arguments.edge_sets)
    return selected(edge_groups(root, arguments.draw_seed), sets, arguments.max_groups)


def _finishing(matting: Matting) -> dict[str, Enlarge]:
    """Ways to bring alpha to full size: the model's own, and what it is compared with."""
    from icm.finishing import full_resolution_alpha  # noqa: PLC0415 - loads torch
    from icm.images import resize  # noqa: PLC0415 - loads cv2
    from icm.research.evaluation import REFERENCE  # noqa: PLC0415 - loads torch

    return {
        matting.config.name: lambda alpha, picture: matting.full_size(picture, alpha),
        REFERENCE: lambda alpha, picture: full_resolution_alpha(alpha, picture.rgb),
        "cubic": lambda alpha, picture: resize(alpha, picture.size),
    }


def _guided(arguments: argparse.Namespace) -> Matting:
    """The same model with guided filtering in the place of its own finishing."""
    changed = argparse.Namespace(**vars(arguments))
    changed.overrides = [*arguments.overrides, "finish.method=guided", "finish.refiner=null"]
    return load_model(changed)


def _predictors(arguments: argparse.Namespace, matting: Matting | None) -> list[Predictor]:
    from icm.research.evaluation import (  # noqa: PLC0415 - loads torch
        ColourModel,
        ConstantGuidance,
        NetworkPredictor,
    )

    predictors: list[Predictor] = []
    if matting is not None and "model" in arguments.rows:
        predictors.append(NetworkPredictor(matting, matting.config.name))
    if matting is not None and "guided" in arguments.rows:
        predictors.append(NetworkPredictor(_guided(arguments), f"{matting.config.name}, {GUIDED}"))
    if "colour" in arguments.rows:
        predictors.append(ColourModel())
    if "centred" in arguments.rows:
        predictors.append(ColourModel(centred=True))
    if "constant" in arguments.rows:
        always = argparse.Namespace(**vars(arguments))
        always.overrides = [*arguments.overrides, KEEP]
        predictors.append(ConstantGuidance(load_model(always)))
    return predictors


def _sheets(
    plan: Plan, predictor: Predictor, parts: tuple[Part, ...], scores: Any, out: Path
) -> list[tuple[str, str]]:
    """Draws the sheets of the first row; file names and captions."""
    from icm.images import write_png  # noqa: PLC0415 - loads cv2
    from icm.research.evaluation import (  # noqa: PLC0415 - loads torch
        choose,
        draw_sheet,
    )

    found = scores.get(("present", predictor.name))
    if not found:
        return []
    sheets = {
        SHEET: (choose(found, 4, 4, 4), "Best, median and worst targets by IoU"),
        WORST: (choose(found, 0, 0, 12), "The worst targets by IoU"),
    }
    for name, (choices, _) in sheets.items():
        write_png(out / name, draw_sheet(choices, plan.groups, predictor) / 255)
    return [(name, f"{caption}: {predictor.name}") for name, (_, caption) in sheets.items()]


def _facts(
    arguments: argparse.Namespace, matting: Matting | None, benchmark: str
) -> dict[str, str]:
    from icm.version import __version__  # noqa: PLC0415 - beside the others

    facts = {
        "command": shlex.join(["icm", *sys.argv[1:]]),
        "version": __version__,
        "data": f"{Path(arguments.data).name} ({benchmark})",
        "seed of the draws": str(arguments.draw_seed),
    }
    if matting is not None:
        facts |= {
            "model": matting.config.name,
            "fingerprint": matting.fingerprint,
            "device": str(matting.device),
            "seed of the noise": str(matting.config.seed),
            "presence threshold": str(matting.config.finish.present_threshold),
            "below it": matting.config.finish.absent,
            "network input": matting.config.input.model_dump_json(),
        }
    return facts


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _of(known: tuple[str, ...]) -> Any:
    """A parser of lists of known words, in the order of `known`."""

    def parse(text: str) -> tuple[str, ...]:
        words = _words(text)
        unknown = [word for word in words if word not in known]
        if unknown or not words:
            named = ", ".join(unknown) or "nothing"
            raise argparse.ArgumentTypeError(f"{named}: choose of {', '.join(known)}")
        return tuple(word for word in known if word in words)

    return parse


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of at least 1")
    return int(text)
