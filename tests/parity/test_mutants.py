"""Deliberate one-line faults: each is patched in, and a named check of the suite must then fail.

A suite that stays green with the softmax over the wrong axis proves nothing. The fault is made in a
module's source text; the code of its functions is then swapped in place, so that every importer of
a function runs the faulty one until the test is over.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType

import pytest

from tests.functional import test_morphology, test_pooling, test_ridge
from tests.models.published import test_matching, test_semi_training
from tests.models.published import test_network as test_published
from tests.parity import checks
from tests.parity.files import OWN

# An assertion of the check, or an error that it expected and that did not come. A mutant that
# crashes was not caught: nobody looked at its numbers.
CAUGHT = (AssertionError, pytest.fail.Exception)


@dataclass(frozen=True)
class Mutant:
    """One line of `module` changed from `old` to `new`, which `check` must notice."""

    name: str
    module: str
    old: str
    new: str
    check: Callable[[], None]


def parity(check: Callable) -> Callable[[], None]:
    return lambda: check(OWN)


SIMILARITY = "icm.functional.similarity"
POOLING = "icm.functional.pooling"
PROPAGATION = "icm.functional.propagation"
MORPHOLOGY = "icm.functional.morphology"
ATTENTION = "icm.functional.attention"
RIDGE = "icm.functional.ridge"
MATCHING = "icm.models.published.matching"
CROSS = "icm.models.published.cross_attention"
SEMI = "icm.models.published.semi_training"
CONVOLUTION = "icm.models.published.convolution"
DETAIL = "icm.models.published.detail_decoder"
PUBLISHED = "icm.models.published.network"

MUTANTS = (
    Mutant(
        "softmax over the reference instead of the target",
        SIMILARITY,
        ".softmax(dim=-1",
        ".softmax(dim=1",
        parity(checks.training_free_attention),
    ),
    Mutant(
        "scale of the products forgotten",
        SIMILARITY,
        "reference_bmc.shape[-1] ** -0.5 if",
        "1.0 if",
        parity(checks.training_free_attention),
    ),
    Mutant(
        "temperature multiplied",
        SIMILARITY,
        "product_bmn / temperature",
        "product_bmn * temperature",
        parity(checks.training_free_variants),
    ),
    Mutant(
        "source not normalised",
        SIMILARITY,
        "F.normalize(source_bchw.flatten(2), dim=1)",
        "source_bchw.flatten(2)",
        parity(checks.correspondence_matrix),
    ),
    Mutant(
        "mask inverted",
        POOLING,
        "weight_b1hw > 0",
        "weight_b1hw <= 0",
        parity(checks.training_free_attention),
    ),
    Mutant(
        "maximum for minimum pooling",
        POOLING,
        'return -pool_mask(-mask_b1hw, size, "max")',
        'return pool_mask(mask_b1hw, size, "max")',
        parity(checks.mask_pooling),
    ),
    Mutant(
        "kernel of one axis for both",
        POOLING,
        "F.max_pool2d(mask_b1hw, kernel)",
        "F.max_pool2d(mask_b1hw, kernel[0])",
        test_pooling.test_axes_are_pooled_each_for_itself,
    ),
    Mutant(
        "align_corners flipped",
        PROPAGATION,
        "align_corners=True",
        "align_corners=False",
        parity(checks.training_free_blocks),
    ),
    Mutant(
        "guidance of the query instead of the key",
        PROPAGATION,
        'rearrange(guidance_bn, "b n -> b 1 1 n")',
        'rearrange(guidance_bn, "b (h w) -> b h w 1", h=attention_bhwn.shape[1])',
        parity(checks.semi_training),
    ),
    Mutant(
        "even kernel off by one",
        MORPHOLOGY,
        "(kernel_size - 1) // 2, kernel_size // 2",
        "kernel_size // 2, (kernel_size - 1) // 2",
        parity(checks.morphology),
    ),
    Mutant(
        "erosion and dilation swapped",
        MORPHOLOGY,
        "known_b1hw = erode(mask_b1hw, erosion_kernel_size)",
        "known_b1hw = erode(mask_b1hw, dilation_kernel_size)",
        parity(checks.morphology),
    ),
    Mutant(
        "trimap of alpha not widened into the foreground",
        MORPHOLOGY,
        "erode((alpha_b1hw >= high)",
        "dilate((alpha_b1hw >= high)",
        test_morphology.test_alpha_to_trimap_widens_the_soft_band_to_both_sides,
    ),
    Mutant(
        "score of the outside",
        ATTENTION,
        "inside_b1hw > outside_b1hw",
        "inside_b1hw < outside_b1hw",
        parity(checks.attention_score),
    ),
    Mutant(
        "refinement stops after one step",
        ATTENTION,
        "converged_b | (next_b1hw == mask_b1hw)",
        "converged_b | (next_b1hw == next_b1hw)",
        parity(checks.refinement),
    ),
    Mutant(
        "ridge regression without its bias",
        RIDGE,
        "design_bmc = F.pad(reference_bmc.float(), (0, 1), value=1.0)",
        "design_bmc = F.pad(reference_bmc.float(), (0, 1), value=0.0)",
        test_ridge.test_a_small_object_weighs_as_much_as_its_surroundings,
    ),
    Mutant(
        "classes of a ridge regression weighted by their size",
        RIDGE,
        "0.5 * weight_bm / total_b1.clamp_min(SMALLEST_WEIGHT)",
        "weight_bm / weight_bm.shape[1]",
        lambda: test_ridge.test_equals_least_squares_on_the_valid_tokens(0.5),
    ),
    Mutant(
        "reference tokens not weighted by the pooled mask",
        MATCHING,
        "select_tokens(reference_bchw * weight_b1hw,",
        "select_tokens(reference_bchw,",
        parity(checks.training_free_attention),
    ),
    Mutant(
        "thin object falls back to the least covered cells",
        MATCHING,
        "overlap_b1hw >= OVERLAP_SHARE",
        "overlap_b1hw <= OVERLAP_SHARE",
        test_matching.test_thin_object_falls_back_to_its_best_covered_cells,
    ),
    Mutant(
        "residual from the tokens before their norm",
        CROSS,
        "query_bmc = self.norm1(query_bmc)\n        query_bmc = self.attn(query_bmc,",
        "query_bmc = self.attn(self.norm1(query_bmc),",
        parity(checks.one_way_attention),
    ),
    Mutant(
        "layer norm before the cross-attention",
        CROSS,
        "self.norm(self.attn_module(reference_bmc, tokens.target_bnc))",
        "self.attn_module(self.norm(reference_bmc), tokens.target_bnc)",
        parity(checks.cross_attention),
    ),
    Mutant(
        "no ReLU after the attention's norm",
        SEMI,
        "torch.relu(self.ln(weighted_bhwn.to(self.ln.weight.dtype)))",
        "self.ln(weighted_bhwn.to(self.ln.weight.dtype))",
        parity(checks.semi_training),
    ),
    Mutant(
        "mask not thresholded",
        SEMI,
        "(mask_b1hw > 0.5)",
        "(mask_b1hw > 0)",
        parity(checks.semi_training),
    ),
    Mutant(
        "references summed, not averaged",
        SEMI,
        "torch.stack(guidance).mean(dim=0)",
        "torch.stack(guidance).sum(dim=0)",
        test_semi_training.test_a_reference_given_twice_changes_nothing,
    ),
    Mutant(
        "coarse before fine",
        CONVOLUTION,
        "[fine_bchw, enlarged_bchw]",
        "[enlarged_bchw, fine_bchw]",
        parity(checks.multi_scale_fusion),
    ),
    Mutant(
        "pyramid of the image that does not shrink",
        DETAIL,
        "ConvNormRelu(width_in, width_out, stride=2)",
        "ConvNormRelu(width_in, width_out, stride=1)",
        parity(checks.detail_capture),
    ),
    Mutant(
        "logits for alpha",
        DETAIL,
        "if self.use_sigmoid else",
        "if not self.use_sigmoid else",
        parity(checks.detail_capture),
    ),
    Mutant(
        "image left in [0, 1]",
        PUBLISHED,
        "(2 * target.image_b3hw - 1)",
        "target.image_b3hw",
        parity(checks.whole_network),
    ),
    Mutant(
        "empty mask let through",
        "icm.models.examples",
        "if bool(empty_b.any()):",
        "if bool(empty_b.all()):",
        test_published.test_empty_mask_is_refused,
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_check_notices_the_fault(mutant: Mutant, monkeypatch: pytest.MonkeyPatch):
    mutant.check()
    _plant(mutant, monkeypatch)
    with pytest.raises(CAUGHT):
        mutant.check()


def test_a_crash_does_not_count_as_noticed(monkeypatch: pytest.MonkeyPatch):
    broken = Mutant(
        "no such axis", SIMILARITY, ".softmax(dim=-1", ".softmax(dim=9", MUTANTS[0].check
    )
    with pytest.raises(IndexError):
        test_check_notices_the_fault(broken, monkeypatch)


def test_a_fault_is_gone_after_its_test():
    with pytest.MonkeyPatch.context() as patch:
        _plant(MUTANTS[0], patch)
        with pytest.raises(AssertionError):
            MUTANTS[0].check()
    MUTANTS[0].check()


def _plant(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(mutant.module)
    source = inspect.getsource(module)
    assert source.count(mutant.old) == 1, f"'{mutant.old}' must occur once in {mutant.module}"
    faulty = ModuleType(mutant.module)
    monkeypatch.setitem(sys.modules, mutant.module, faulty)  # dataclasses look their module up
    exec(
        compile(source.replace(mutant.old, mutant.new), str(module.__file__), "exec"), vars(faulty)
    )
    monkeypatch.setitem(sys.modules, mutant.module, module)
    for name, function in _functions(module):
        replacement = dict(_functions(faulty))[name]
        if function.__code__ != replacement.__code__:
            monkeypatch.setattr(function, "__code__", replacement.__code__)


def _functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Functions that a module defines, and those of its classes, by qualified name."""
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        members = vars(value).values() if inspect.isclass(value) else [value]
        for member in members:
            function = member.fget if isinstance(member, property) else member
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                yield function.__qualname__, function
