"""From photographs to mattes with both models, on a GPU that is not there.

Each place where anything goes to the GPU or leaves it is named, and how often it may; any other is
a wait that nobody asked for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from icm.build import Built
from icm.errors import InputError
from icm.images import Picture
from icm.matting import Matting
from icm.results import Reference
from tests.devices.fake_gpu import HiddenWaitError, fake_gpu
from tests.devices.models import bundled, placed, stable_diffusion

SIZE = (120, 160)
MAKING = ("Inference._tensor", "Inference._sample_noise", "Inference.example", "on_device")
RUNNING = ("Inference._tensor", "Inference._sample_noise", "Inference.predict", "on_device")
REFINING = ("_stacked", "_pieces")


@pytest.fixture(scope="module")
def small() -> Built:
    return bundled("small", "input.size=128")


@pytest.fixture(scope="module")
def large() -> Built:
    return stable_diffusion()


def pictures(*sizes: tuple[int, int]) -> list[Picture]:
    rng = np.random.default_rng(0)
    return [Picture(rng.random((*size, 3), dtype=np.float32)) for size in sizes]


def marked(level: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """A photograph with a small object, at the network's size once more a reference."""
    image, mask = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8)
    mask[50:70, 60:90] = level
    return image, mask


def test_small_objects_pass_twice_together_and_their_edges_are_refined(small: Built) -> None:
    with fake_gpu() as watch:
        matting = Matting(placed(small))
        with watch.closely(*MAKING):
            reference = matting.reference(*marked())
        assert len(reference.examples) == 2  # with the zoomed part
        watch.crossings.clear()
        targets = pictures(SIZE, SIZE, SIZE)
        with watch.closely(*RUNNING):
            predictions = matting.predict(targets, reference)
        # One pass of all three, and another of their zoomed parts.
        arrived = watch.places("in")
        assert arrived.pop("on_device") == sum(
            2 + len(example.features.maps) for example in reference.examples
        )
        assert arrived.pop("Inference._sample_noise", 0) <= 1  # of a size not seen before
        assert arrived == {"Inference._tensor": 2}
        assert watch.places("out") == {"Inference.predict": 2 * 3}
        passes = [crossing.after for crossing in watch.crossings if crossing.way == "out"]
        assert len(set(passes)) == 2 and passes[-1] == watch.products.total()

        watch.crossings.clear()
        with watch.closely(*RUNNING):
            matting.predict(targets[:1], reference)
        assert watch.places("in") == {"Inference._tensor": 2}  # the reference is there already

        watch.crossings.clear()
        before = watch.products.total()
        with watch.closely(*REFINING):
            computed = matting.refine(targets[0], predictions[0])
        assert {crossing.after for crossing in watch.crossings if crossing.way == "in"} == {before}
        assert {crossing.after for crossing in watch.crossings if crossing.way == "out"} == {
            watch.products.total()
        }
        with watch.closely():  # a processor's work alone
            assert matting.finish(targets[0], computed).alpha.shape == SIZE
    assert watch.products[torch.bfloat16] > 5 * watch.products[torch.float32]  # ridges alone


def test_stable_diffusion_as_large_as_it_is(large: Built) -> None:
    with fake_gpu() as watch:
        matting = Matting(placed(large))
        with watch.closely(*MAKING):
            reference = matting.reference(*marked())
        watch.crossings.clear()
        with watch.closely(*RUNNING):
            predictions = matting.predict(pictures(SIZE, SIZE), reference)
        assert watch.places("in") == {"on_device": 4, "Inference._tensor": 1}
        assert watch.places("out") == {"Inference.predict": 3}
        assert watch.crossings[-1].after == watch.products.total()
    assert [prediction.alpha_b1hw.shape[-2:] for prediction in predictions] == [(768, 768)] * 2
    assert watch.products[torch.bfloat16] > 5 * watch.products[torch.float32]  # the head alone


def test_an_empty_mask_is_refused_before_it_is_sent(large: Built) -> None:
    """The network looks at no values on a GPU: it would give a matte of nothing."""
    with fake_gpu() as watch:
        matting = Matting(placed(large))
        with watch.closely(*MAKING):
            made = matting.reference(*marked())
        with watch.closely():
            faint = replace(made.examples[0], mask_b1hw=made.examples[0].mask_b1hw * 0.4)
        reference = Reference((faint,), made.thumbnails, made.model, made.fingerprint)
        with watch.closely(), pytest.raises(InputError, match="the mask marks nothing"):
            matting.predict(pictures(SIZE), reference)


@pytest.mark.parametrize("slip", ["item", "left on the CPU", "dtype"])
def test_a_slip_in_the_refiner_is_caught(
    small: Built, slip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(image_b3hw: torch.Tensor, hints_b5hw: torch.Tensor) -> object:
        if slip == "item" and image_b3hw.max().item() > 1:
            image_b3hw = image_b3hw / 255
        if slip == "left on the CPU":
            image_b3hw = image_b3hw - torch.tensor([0.5])
        if slip == "dtype":
            image_b3hw = image_b3hw.double()
        return whole(image_b3hw, hints_b5hw)

    with fake_gpu() as watch:
        built = placed(small)
        assert built.refiner is not None
        whole = built.refiner.forward
        monkeypatch.setattr(built.refiner, "forward", spoilt)
        alpha = np.zeros((96, 128), np.float32)
        alpha[30:50, 30:50] = 0.5
        refined = Matting(built)._inference.refined
        with (
            watch.closely(*REFINING),
            pytest.raises((HiddenWaitError, RuntimeError, AssertionError)),
        ):
            refined(pictures(SIZE)[0], alpha)
