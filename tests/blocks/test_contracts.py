"""What every block of the registries promises, whatever it computes."""

import copy

import pytest
import torch

from icm.blocks.catalogue import Shapes, catalogue
from icm.errors import ConfigError
from tests.blocks.mutants import lively

ENTRIES = catalogue()
# smaller hidden layers than the defaults give at small widths would be all dead or all alive
OPTIONS = {
    "squeeze_excitation": {"reduction": 2},
    "cbam": {"reduction": 2},
    "cbam_channel": {"reduction": 2},
    "coordinate": {"reduction": 2},
    "dual": {"reduction": 2},
    "dual_position": {"reduction": 2},
}
REFUSE_TEN_CHANNELS = {
    "contextual_transformer",  # 4 groups, 8 channels a head
    "contextual_transformer_global",  # 4 groups
    "dot_product",  # 4 heads
    "recurrent_cross",  # 4 heads
    "temporal_inception",  # 4 kernels
}
SMALL = Shapes(channels=8, height=6, width=5, guide_channels=6, tokens=7, levels=2, batch=2)
ODD_SIZES = [(1, 1), (7, 3), (2, 9), (5, 5)]

each_block = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def with_size(size, **changes):
    values = {**SMALL.__dict__, "height": size[0], "width": size[1], **changes}
    return Shapes(**values)


def made(entry, shapes=SMALL, seed=0, **options):
    """The block with lively parameters, in double and evaluation mode, and arguments for it."""
    torch.manual_seed(seed)
    block = lively(entry.create(shapes, **OPTIONS.get(entry.name, {}), **options))
    inputs = entry.inputs(shapes, torch.Generator().manual_seed(seed))
    return block, converted(inputs, torch.double)


def converted(inputs, dtype):
    return tuple(
        tuple(y.to(dtype) for y in x)
        if isinstance(x, tuple)
        else x.to(dtype)
        if x.is_floating_point()
        else x
        for x in inputs
    )


def flat(value):
    """All tensors of arguments or of a result."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


def item(inputs, index):
    return tuple(
        tuple(y[index : index + 1] for y in x) if isinstance(x, tuple) else x[index : index + 1]
        for x in inputs
    )


@each_block
def test_shapes_at_odd_sizes(entry):
    for size in ODD_SIZES:
        block, inputs = made(entry, with_size(size))
        maps = flat(inputs[0])
        found = flat(block(*inputs))
        assert [x.shape for x in found] == [x.shape for x in maps]
        assert all(x.isfinite().all() for x in found)


@pytest.mark.parametrize(
    "entry", [e for e in ENTRIES if e.contract == "pyramid"], ids=lambda entry: entry.name
)
def test_pyramids_of_unrelated_sizes_and_widths(entry):
    block = lively(entry.block((5, 3, 7), 8))
    maps = [torch.randn(2, c, h, w).double() for c, h, w in [(5, 2, 3), (3, 5, 5), (7, 9, 11)]]
    assert [tuple(x.shape) for x in block(maps)] == [(2, 8, 2, 3), (2, 8, 5, 5), (2, 8, 9, 11)]


@each_block
def test_channels_that_do_not_divide_work_or_are_refused(entry):
    shapes = with_size((3, 4), channels=10, guide_channels=9)
    if entry.name in REFUSE_TEN_CHANNELS:
        with pytest.raises(ConfigError, match="10 channels cannot be divided evenly into"):
            entry.create(shapes)
    else:
        block = entry.create(shapes).eval()
        inputs = entry.inputs(shapes, torch.Generator().manual_seed(0))
        assert all(x.shape[1] == 10 for x in flat(block(*inputs)))


@each_block
def test_batch_items_are_independent(entry):
    block, inputs = made(entry, with_size((4, 3), batch=3))
    together = flat(block(*inputs))
    for index in range(3):
        alone = flat(block(*item(inputs, index)))
        for x, y in zip(together, alone, strict=True):
            torch.testing.assert_close(x[index : index + 1], y)


@each_block
@pytest.mark.parametrize("training", [False, True])
def test_inputs_are_untouched(entry, training):
    block, inputs = made(entry)
    before = copy.deepcopy(inputs)
    block.train(training)(*inputs)
    assert all(torch.equal(x, y) for x, y in zip(flat(inputs), flat(before), strict=True))


@each_block
def test_every_parameter_gets_a_gradient(entry):
    block, inputs = made(entry)
    floating = [x.requires_grad_() for x in flat(inputs[:2]) if x.is_floating_point()]
    result = flat(block.train()(*inputs))
    weights = torch.Generator().manual_seed(5)
    loss = sum((x * torch.randn(x.shape, generator=weights).double()).sum() for x in result)
    loss.backward()
    silent = [
        name
        for name, parameter in block.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() < 1e-9
    ]
    assert not silent, f"no gradient for {silent}"
    assert all(x.grad.abs().max() > 1e-9 for x in floating)


@each_block
def test_gradients_equal_finite_differences(entry):
    # an adjacency that is detached has, on purpose, not the gradient of the differences
    whole = {"detach_adjacency": False} if entry.name == "matched_graph" else {}
    block, inputs = made(entry, with_size((2, 3), batch=1, tokens=3), **whole)
    maps = [x.requires_grad_() for x in flat(inputs[0])]
    guide = [inputs[1].requires_grad_()] if entry.contract == "guided" else []

    def call(*tensors):
        if entry.contract == "pyramid":
            return tuple(block(tensors))
        return block(*tensors, *inputs[len(tensors) :])

    assert torch.autograd.gradcheck(call, (*maps, *guide), eps=1e-6, atol=1e-5, fast_mode=True)


@each_block
def test_compiles_as_one_graph(entry):
    block, inputs = made(entry)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for x, y in zip(flat(compiled(*inputs)), flat(block(*inputs)), strict=True):
            torch.testing.assert_close(x, y)


@each_block
def test_exports(entry):
    block, inputs = made(entry)
    exported = torch.export.export(block, inputs).module()
    for x, y in zip(flat(exported(*inputs)), flat(block(*inputs)), strict=True):
        torch.testing.assert_close(x, y)


@each_block
def test_runs_in_bfloat16(entry):
    block, inputs = made(entry)
    expected = flat(block(*inputs))
    found = flat(block.bfloat16()(*converted(inputs, torch.bfloat16)))
    for x, y in zip(found, expected, strict=True):
        assert x.dtype == torch.bfloat16
        assert (x - y).abs().mean() < 0.1 * y.abs().mean() + 0.02


@each_block
def test_runs_under_autocast(entry):
    block, inputs = made(entry)
    expected = flat(block(*inputs))
    block, inputs = block.float(), converted(inputs, torch.float32)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = flat(block(*inputs))
    for x, y in zip(found, expected, strict=True):
        assert (x - y).abs().mean() < 0.1 * y.abs().mean() + 0.02


@each_block
def test_memory_format_does_not_matter(entry):
    block, inputs = made(entry)
    expected = flat(block(*inputs))
    last = torch.channels_last
    maps = [x.contiguous(memory_format=last) for x in flat(inputs[0])]
    first = tuple(maps) if entry.contract == "pyramid" else maps[0]
    found = flat(block.to(memory_format=last)(first, *inputs[1:]))
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y)


guided_block = pytest.mark.parametrize(
    "entry", [e for e in ENTRIES if e.contract == "guided"], ids=lambda entry: entry.name
)


@guided_block
def test_padding_never_changes_the_result(entry):
    block, (x, guide, valid, mask) = made(entry)
    valid = valid.clone()
    valid[0, 4:] = False
    other_guide, other_mask = guide.clone(), mask.clone()
    other_guide[0, 4:], other_mask[0, 4:] = 1e3, 1 - mask[0, 4:]
    expected = block(x, guide, valid, mask)
    torch.testing.assert_close(block(x, other_guide, valid, other_mask), expected)
    shorter = block(x[:1], guide[:1, :4], valid[:1, :4], mask[:1, :4])
    torch.testing.assert_close(shorter, expected[:1])


@guided_block
def test_order_of_the_tokens_does_not_matter(entry):
    block, (x, guide, valid, mask) = made(entry)
    order = torch.randperm(guide.shape[1], generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        block(x, guide[:, order], valid[:, order], mask[:, order]), block(x, guide, valid, mask)
    )


@guided_block
def test_the_mask_counts(entry):
    block, (x, guide, valid, mask) = made(entry)
    assert not torch.allclose(block(x, guide, valid, 1 - mask), block(x, guide, valid, mask))


@guided_block
@pytest.mark.parametrize("case", ["no foreground", "no background", "nothing valid"])
def test_empty_classes_give_numbers_and_gradients(entry, case):
    block, (x, guide, valid, mask) = made(entry)
    if case == "nothing valid":
        valid = torch.zeros_like(valid)
    else:
        mask = torch.full_like(mask, float(case == "no background"))
    result = block(x.requires_grad_(), guide, valid, mask)
    result.sum().backward()
    assert result.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in block.parameters())
