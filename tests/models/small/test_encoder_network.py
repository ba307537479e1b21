"""The encoder branch and the joint network: start, batches, sizes, references, gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from icm.backbones.denoiser import SmallBackbone
from icm.backbones.efficientnet_lite import EfficientNetLite2, converted
from icm.backbones.joint import JointBackbone
from icm.models.confidence import peak_confidence
from icm.models.small.encoder_guidance import CHANNELS, GROUPS
from icm.models.small.encoder_network import CONTEXT, STARTING_WEIGHTS, EncoderNetwork
from icm.models.small.joint_network import JointNetwork, encoder_maps
from icm.models.small.network import SmallNetwork
from icm.results import Example, Features, Prediction
from icm.weights.encoder import read_encoder
from tests.models.contracts import untouched

BLOCKS = (3, 6, 10, 14, 19)


@pytest.fixture(scope="module")
def backbone() -> JointBackbone:
    torch.manual_seed(0)
    denoiser, encoder = (
        SmallBackbone(channels=(16, 16, 32), head_width=16),
        EfficientNetLite2(BLOCKS),
    )
    encoder.load_state_dict(converted(read_encoder(), BLOCKS))
    return JointBackbone(denoiser, encoder, denoiser_scale=2 / 3).eval()


def branch(backbone: JointBackbone, **options: object) -> EncoderNetwork:
    """The branch with its last layers away from zero, so that all of it counts."""
    torch.manual_seed(1)
    network = EncoderNetwork(backbone.encoder.channels, width=16, **options)  # type: ignore[arg-type]  # several kinds
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


def joint(backbone: JointBackbone, weight: float = 0.5, **options: object) -> JointNetwork:
    torch.manual_seed(2)
    diffusion = SmallNetwork(backbone.denoiser.map_channels, width=16, decoder_width=32)
    return JointNetwork(diffusion, branch(backbone, **options), diffusion_weight=weight).eval()


@torch.no_grad()
def features(
    backbone: JointBackbone, seed: int, size: tuple[int, int] = (64, 96), batch: int = 2
) -> Features:
    image = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))
    image = F.avg_pool2d(image, 5, 1, 2)
    return backbone.extract(image, backbone.draw_noise(*size, seed=0))


def example(
    backbone: JointBackbone, seed: int, size: tuple[int, int] = (64, 64), batch: int = 2
) -> Example:
    mask = torch.zeros(batch, 1, *size)
    mask[..., 10:40, 12:50] = 1
    return Example(features(backbone, seed, size, batch), mask)


def part(item: Features, index: int) -> Features:
    window = slice(index, index + 1)
    return Features(
        item.image_b3hw[window],
        tuple(each[window] for each in item.maps),
        tuple(each[window] for each in item.attention),
    )


def close(one: Prediction, two: Prediction, tolerance: float = 1e-3) -> bool:
    return all(
        torch.allclose(getattr(one, name), getattr(two, name), atol=tolerance)
        for name in ("alpha_b1hw", "guidance_b1hw", "confidence_b")
    )


@torch.no_grad()
def test_the_backbone_gives_the_denoiser_s_maps_and_then_the_encoder_s(
    backbone: JointBackbone,
) -> None:
    found = features(backbone, 0, (96, 128))
    assert tuple(each.shape[1] for each in found.maps) == backbone.map_channels
    assert backbone.denoiser_size((96, 128)) == (64, 80)
    assert found.maps[0].shape[-2:] == (4, 5)
    assert [tuple(each.shape[-2:]) for each in found.maps[3:]] == [
        (3, 4), (6, 8), (6, 8), (12, 16), (24, 32)
    ]  # fmt: skip
    for one, two in zip(encoder_maps(found), backbone.encoder(found.image_b3hw), strict=True):
        assert torch.equal(one, two)


@torch.no_grad()
def test_an_untrained_branch_is_the_sum_of_log_odds_enlarged(backbone: JointBackbone) -> None:
    network = EncoderNetwork(backbone.encoder.channels).eval()
    target, shown = features(backbone, 0), example(backbone, 1)
    maps = encoder_maps(target)
    reference = network.marked([shown])
    coarse = network(maps, target.image_b3hw, reference)
    assert torch.equal(coarse.logit_b1hw, coarse.prior_b1hw)
    enlarged = F.interpolate(coarse.logit_b1hw, size=(64, 96), mode="bilinear")
    decoded = network.decode(maps, target.image_b3hw, coarse)
    assert torch.allclose(decoded, enlarged, atol=1e-5)
    assert network.prior.weight.count_nonzero() == len(STARTING_WEIGHTS)
    for name, weight in STARTING_WEIGHTS.items():
        assert float(network.prior.weight[0, CHANNELS.index(name)]) == pytest.approx(weight)


@torch.no_grad()
def test_predictions_have_the_promised_shapes_and_ranges(backbone: JointBackbone) -> None:
    found = joint(backbone)(features(backbone, 0), [example(backbone, 1)])
    assert found.alpha_b1hw.shape == (2, 1, 64, 96)
    assert found.guidance_b1hw.shape == (2, 1, 8, 12)
    assert found.confidence_b.shape == (2,)
    for values in (found.alpha_b1hw, found.guidance_b1hw, found.confidence_b):
        assert values.min() >= 0 and values.max() <= 1


@torch.no_grad()
def test_what_nothing_opaque_was_found_of_is_not_there(backbone: JointBackbone) -> None:
    network = joint(backbone)
    target, shown = features(backbone, 0), example(backbone, 1)
    sure = network.encoder.presence[-1]
    sure.weight.zero_()
    sure.bias.fill_(20.0)
    found = network(target, [shown])
    assert torch.allclose(found.confidence_b, peak_confidence(found.alpha_b1hw))
    network.encoder.prior.bias.fill_(-60.0)
    network.diffusion_weight = 0.0
    nothing = network(target, [shown])
    assert nothing.alpha_b1hw.max() < 0.1
    assert nothing.confidence_b.max() < 0.1


@torch.no_grad()
def test_each_item_alone_equals_the_item_in_its_batch(backbone: JointBackbone) -> None:
    network = joint(backbone)
    target, shown = features(backbone, 0), example(backbone, 1)
    together = network(target, [shown])
    for index in range(2):
        lone = Example(part(shown.features, index), shown.mask_b1hw[index : index + 1])
        alone = network(part(target, index), [lone])
        window = slice(index, index + 1)
        expected = Prediction(
            together.alpha_b1hw[window],
            together.guidance_b1hw[window],
            together.confidence_b[window],
        )
        assert close(alone, expected)


@torch.no_grad()
def test_a_reference_of_batch_one_serves_both_targets(backbone: JointBackbone) -> None:
    network, target = joint(backbone), features(backbone, 0)
    shown = example(backbone, 1, batch=1)
    double = Example(
        Features(
            shown.features.image_b3hw.repeat(2, 1, 1, 1),
            tuple(each.repeat(2, 1, 1, 1) for each in shown.features.maps),
        ),
        shown.mask_b1hw.repeat(2, 1, 1, 1),
    )
    assert close(network(target, [shown]), network(target, [double]))


@torch.no_grad()
def test_references_may_be_several_and_of_any_size_in_any_order(backbone: JointBackbone) -> None:
    network, target = joint(backbone), features(backbone, 0)
    shown = [example(backbone, 1), example(backbone, 2, (64, 96)), example(backbone, 3, (96, 64))]
    forwards, backwards = network(target, shown), network(target, shown[::-1])
    assert close(forwards, backwards)
    assert not torch.allclose(forwards.alpha_b1hw, network(target, shown[:1]).alpha_b1hw, atol=1e-3)


@pytest.mark.parametrize("size", [(33, 47), (50, 96), (32, 32)])
@torch.no_grad()
def test_odd_and_small_pictures_keep_their_size(
    backbone: JointBackbone, size: tuple[int, int]
) -> None:
    network = branch(backbone)
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    maps = backbone.encoder(image)
    grid = (maps[1].shape[-2], maps[1].shape[-1])
    mask = torch.zeros(1, 1, *size)
    mask[..., 8:20, 8:20] = 1
    reference = network.reference([network.tokens(maps, image)], [mask], [grid])
    coarse = network(maps, image, reference)
    logit = network.decode(maps, image, coarse)
    assert logit.shape == (1, 1, *size) and logit.isfinite().all()
    assert coarse.logit_b1hw.shape[-2:] == (-(-size[0] // 8), -(-size[1] // 8))


@torch.no_grad()
def test_inputs_are_left_as_they_are(backbone: JointBackbone) -> None:
    network = joint(backbone)
    target, shown = features(backbone, 0), example(backbone, 1)
    tensors = [target.image_b3hw, *target.maps, *target.attention]
    tensors += [shown.mask_b1hw, shown.features.image_b3hw, *shown.features.maps]
    untouched(tensors, lambda: network(target, [shown]))


@torch.no_grad()
def test_weight_zero_leaves_the_diffusion_branch_out(backbone: JointBackbone) -> None:
    target, shown = features(backbone, 0), example(backbone, 1)
    alone, added = joint(backbone, weight=0), joint(backbone, weight=2.0)
    before = alone(target, [shown])
    assert not torch.allclose(added(target, [shown]).alpha_b1hw, before.alpha_b1hw, atol=1e-3)
    alone.diffusion = None  # type: ignore[assignment]  # it must not be called
    assert close(alone(target, [shown]), before, 0)
    maps = encoder_maps(target)
    coarse = alone.encoder(maps, target.image_b3hw, alone.encoder.marked([shown]))
    logit = alone.encoder.decode(maps, target.image_b3hw, coarse)
    assert torch.equal(logit.sigmoid(), before.alpha_b1hw)


@torch.no_grad()
def test_evidence_is_added_to_the_prior_and_to_every_pass(backbone: JointBackbone) -> None:
    network = EncoderNetwork(backbone.encoder.channels).eval()  # whose passes change nothing yet
    target, shown = features(backbone, 0), example(backbone, 1)
    maps, reference = encoder_maps(target), network.marked([shown])
    evidence = torch.linspace(-2, 2, 96).reshape(1, 1, 8, 12).repeat(2, 1, 1, 1)
    start = network.begin(maps, target.image_b3hw, reference)
    plain = network.refine(start)
    added = network.refine(start, evidence_b1hw=evidence)
    assert torch.allclose(added.logit_b1hw, plain.logit_b1hw + evidence, atol=1e-5)
    assert torch.equal(added.present_b, plain.present_b)


def test_every_parameter_gets_a_gradient_after_one_step(backbone: JointBackbone) -> None:
    torch.manual_seed(3)
    network = EncoderNetwork(backbone.encoder.channels, width=16, context_dropout=0).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    target, shown = features(backbone, 0), example(backbone, 1)
    maps = encoder_maps(target)
    truth = torch.rand(2, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    for _ in range(3):  # zero last layers: two layers deep, gradients come with the third step
        coarse = network(maps, target.image_b3hw, network.marked([shown]))
        logit = network.decode(maps, target.image_b3hw, coarse)
        total = F.binary_cross_entropy_with_logits(logit, truth)
        total = total + coarse.logit_b1hw.square().mean() + coarse.present_b.square().sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    idle = [n for n, v in network.named_parameters() if v.grad is None or not v.grad.any()]
    assert idle == []


@pytest.mark.parametrize("group", [*GROUPS, CONTEXT])
@torch.no_grad()
def test_what_is_left_out_makes_a_difference_and_no_parameter(
    backbone: JointBackbone, group: str
) -> None:
    target, shown = features(backbone, 0, (64, 64), 1), example(backbone, 1, batch=1)
    whole, without = branch(backbone), branch(backbone, without=(group,))
    assert whole.state_dict().keys() == without.state_dict().keys()
    without.load_state_dict(whole.state_dict())
    maps = encoder_maps(target)
    found = [
        network(maps, target.image_b3hw, network.marked([shown])).logit_b1hw
        for network in (whole, without)
    ]
    assert not torch.allclose(*found, atol=1e-5)


@torch.no_grad()
def test_context_is_dropped_in_training_only(backbone: JointBackbone) -> None:
    target, shown = features(backbone, 0), example(backbone, 1)
    network = branch(backbone, context_dropout=1.0)
    blind = branch(backbone, without=(CONTEXT,))
    maps = encoder_maps(target)

    def logit(of: EncoderNetwork) -> torch.Tensor:
        return of(maps, target.image_b3hw, of.marked([shown])).logit_b1hw

    assert not torch.allclose(logit(network), logit(blind), atol=1e-4)
    assert torch.allclose(logit(network.train()), logit(blind), atol=1e-5)
