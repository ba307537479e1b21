"""The detail decoder: odd sizes, options and contracts, beside its parity."""

from __future__ import annotations

import pytest
import torch

from icm.errors import InputError
from icm.models.published import DetailCapture
from tests.models.contracts import compiles, every_parameter_gets_a_gradient, randomise, untouched
from tests.parity import loops


def _module(**options):
    torch.manual_seed(0)
    sizes = {"in_chans": 4, "img_chans": 3, "convstream_out": (3, 5), "fusion_out": (6, 4, 3)}
    return randomise(DetailCapture(**{**sizes, **options})).eval()


def _case():
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(2, 4, 2, 3, generator=generator)
    return feature, torch.rand(2, 3, 13, 18, generator=generator)


@torch.no_grad()
def test_odd_sizes_and_other_depths_equal_the_loops():
    module = _module(use_sigmoid=False)
    feature, image = _case()
    state = {name: value.double().numpy() for name, value in module.state_dict().items()}
    expected = loops.detail_logits(feature.double().numpy(), image.double().numpy(), state, 2)
    assert torch.allclose(module(feature, image).double(), torch.from_numpy(expected), atol=5e-6)
    assert torch.equal(_module()(feature, image), module(feature, image).sigmoid())


def test_defaults_are_the_published_ones_and_do_not_grow():
    shapes = [
        {name: value.shape for name, value in DetailCapture().state_dict().items()}
        for _ in range(2)
    ]
    assert shapes[0] == shapes[1]
    assert shapes[0]["convstream.convs.2.conv.weight"] == (192, 96, 3, 3)
    assert shapes[0]["fusion_blks.3.conv.conv.weight"] == (32, 64 + 4, 3, 3)


def test_contracts():
    module = _module()
    feature, image = _case()
    untouched((feature, image), lambda: module(feature, image))
    compiles(module, lambda m: m(feature, image))
    together = module(feature, image)
    assert torch.allclose(together[1:], module(feature[1:], image[1:]), atol=1e-6)
    assert together.min() >= 0 and together.max() <= 1
    rough = module.bfloat16()(feature.bfloat16(), image.bfloat16())
    assert torch.allclose(rough.float(), together, atol=0.05)
    module = _module(use_sigmoid=False)
    for name, parameter in module.named_parameters():
        # Batch statistics take out what a bias before them adds.
        parameter.requires_grad_(name != "matting_head.matting_convs.0.bias")
    module.matting_head.matting_convs[0].bias = None
    every_parameter_gets_a_gradient(module, lambda: module(feature, image))


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match="3 fusion widths for 3 pyramid levels"):
        _module(convstream_out=(3, 5, 6))
    with pytest.raises(InputError, match="3 channels: this decoder takes 4"):
        _module(img_chans=4)(*_case())
