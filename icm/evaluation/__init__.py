"""Evaluation: groups of pictures with truth, predictors, the protocol, reports."""

from icm.evaluation.averages import Averages, averaged
from icm.evaluation.benchmarks import has_trimaps, is_benchmark, read_benchmark
from icm.evaluation.colour_model import ColourModel
from icm.evaluation.composites import held_out_groups
from icm.evaluation.edges import REFERENCE, edge_groups
from icm.evaluation.groups import AbsentPair, Group, Member, Sample, selected
from icm.evaluation.network import ConstantGuidance, NetworkPredictor
from icm.evaluation.predictor import Estimate, Fitted, Marked, Predictor
from icm.evaluation.protocol import Score
from icm.evaluation.published import PUBLISHED
from icm.evaluation.report import Evaluation, Part, listening, overview, write_report
from icm.evaluation.run import Plan, run
from icm.evaluation.sheet import choose, draw_sheet
from icm.evaluation.validation import ValidationSet, read_validation

__all__ = [
    "PUBLISHED",
    "REFERENCE",
    "AbsentPair",
    "Averages",
    "ColourModel",
    "ConstantGuidance",
    "Estimate",
    "Evaluation",
    "Fitted",
    "Group",
    "Marked",
    "Member",
    "NetworkPredictor",
    "Part",
    "Plan",
    "Predictor",
    "Sample",
    "Score",
    "ValidationSet",
    "averaged",
    "choose",
    "draw_sheet",
    "edge_groups",
    "has_trimaps",
    "held_out_groups",
    "is_benchmark",
    "listening",
    "overview",
    "read_benchmark",
    "read_validation",
    "run",
    "selected",
    "write_report",
]
