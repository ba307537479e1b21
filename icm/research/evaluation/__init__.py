"""Evaluation: groups of pictures with truth, predictors, the protocol, reports."""

from icm.research.evaluation.averages import Averages, averaged
from icm.research.evaluation.benchmarks import has_trimaps, is_benchmark, read_benchmark
from icm.research.evaluation.colour_model import ColourModel
from icm.research.evaluation.edges import REFERENCE, edge_groups
from icm.research.evaluation.groups import AbsentPair, Group, Member, Sample, selected
from icm.research.evaluation.held_out import held_out_groups
from icm.research.evaluation.network import ConstantGuidance, NetworkPredictor
from icm.research.evaluation.predictor import Estimate, Fitted, Marked, Predictor
from icm.research.evaluation.presence import Presence, presence_of, presence_table
from icm.research.evaluation.protocol import Score
from icm.research.evaluation.published_numbers import PUBLISHED
from icm.research.evaluation.report import Evaluation, Part, overview, reference_use, write_report
from icm.research.evaluation.run import Plan, run
from icm.research.evaluation.sheet import choose, draw_sheet
from icm.research.evaluation.validation import ValidationSet, read_validation

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
    "Presence",
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
    "overview",
    "presence_of",
    "presence_table",
    "read_benchmark",
    "read_validation",
    "reference_use",
    "run",
    "selected",
    "write_report",
]
