"""Multi-scale fusion: odd sizes and contracts, beside its parity."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.models.published import MultiScaleFeatureFusion
from tests.models.contracts import compiles, every_parameter_gets_a_gradient, randomise, untouched
from tests.parity import loops


def _case():
    generator = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(2, 3, 2, 3, generator=generator),
        torch.randn(2, 3, 5, 5, generator=generator),
        torch.randn(2, 4, 9, 11, generator=generator),
    ]
    torch.manual_seed(0)
    return randomise(MultiScaleFeatureFusion([6, 9, 0], [5, 6, 0])).eval(), maps


@torch.no_grad()
def test_odd_levels_of_unequal_width_equal_the_loops():
    module, maps = _case()
    state = {name: value.double().numpy() for name, value in module.state_dict().items()}
    merged = maps[0].double().numpy()
    for index, finer in enumerate(maps[1:]):
        merged = loops.fusion_block(merged, finer.double().numpy(), state, f"module_list.{index}")
    assert torch.allclose(module(maps).double(), torch.from_numpy(merged), atol=3e-6)


def test_contracts():
    module, maps = _case()
    untouched(maps, lambda: module(maps))
    compiles(module, lambda m: m(maps))
    together = module(maps)
    alone = module([level[1:] for level in maps])
    assert torch.allclose(together[1:], alone, atol=1e-6)
    rough = module.bfloat16()([level.bfloat16() for level in maps])
    assert torch.allclose(rough.float(), together, rtol=0.1, atol=0.05)
    every_parameter_gets_a_gradient(module.float(), lambda: module(maps))


def test_wrong_arguments_are_named():
    module, maps = _case()
    with pytest.raises(InputError, match="2 levels: expected 3"):
        module(maps[:2])
    with pytest.raises(InputError, match="2 input and 1 output"):
        MultiScaleFeatureFusion([6, 6], [3])
    with pytest.raises(InputError, match="use_bottleneck"):
        MultiScaleFeatureFusion([6, 6], [3, 3], use_bottleneck=True)
