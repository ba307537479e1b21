"""A built model at work on its device: precision, noise and threads are as it was built for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from functools import lru_cache
from traceback import clear_frames

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from icm.backbones import Noise
from icm.beside import Helpers
from icm.build import Built
from icm.config.diffusion import DiffusionBackboneConfig
from icm.device import KERNELS, as_here, side_by_side
from icm.engine.grown_mask import grown_mask
from icm.engine.preparation import input_size, on_cpu, on_device
from icm.errors import DeviceMemoryError
from icm.images import Picture, resize
from icm.models.small.cascade import refined_alpha
from icm.results import (
    Example,
    Features,
    Points,
    Prediction,
    Reference,
    Scribbles,
    seeds_of,
)

NOISE_SIZES = 8  # input sizes whose noise is kept; it is quickly sampled again


class Inference:
    """Runs a model; may be shared by threads.

    All that it keeps is the last reference, on a GPU, and the noise of the last few input sizes.

    Each method raises a DeviceMemoryError where the device's memory did not suffice.

    Args:
        built: the model with its weights, device and precision.
    """

    def __init__(self, built: Built) -> None:
        self._built = built
        # The last bits depend on the number of a kernel's threads, so it depends on nothing else
        # that is at work; and other libraries change it under way.
        self._all_threads = KERNELS.threads()
        large = isinstance(built.config.backbone, DiffusionBackboneConfig)
        whole = large or built.device.type != "cpu"
        each, pictures = (self._all_threads, 1) if whole else side_by_side(self._all_threads)
        self._threads, self._parallel = each, pictures
        self._helpers = Helpers(pictures, as_here)
        self._noise = lru_cache(maxsize=NOISE_SIZES)(self._sample_noise)
        self._placed: tuple[Reference, list[Example]] | None = None

    @property
    def parallel(self) -> int:
        """Pictures that gain from being computed side by side.

        One on a GPU, which is kept busy by passes of several, and with Stable Diffusion, whose
        kernels keep all threads of a CPU busy and which takes gigabytes; else one for each of the
        threads, or of their pairs where there are many.
        """
        return self._parallel

    def input_size(self, picture: Picture) -> tuple[int, int]:
        """Height and width at which the network sees a picture."""
        return input_size(picture.size, self._built.config.input, self._built.model.backbone.stride)

    def features(self, picture: Picture) -> Features:
        """What the backbone sees of a picture, on the CPU, without attention."""
        with self._running():
            features = self._extracted(picture)
        mask_b1hw = torch.ones((1, 1, *self.input_size(picture)))
        return on_cpu(Example(features, mask_b1hw)).features

    def example(self, picture: Picture, mask_hw: NDArray[np.float32]) -> Example:
        """A marked picture as a reference is made of, on the CPU."""
        size = self.input_size(picture)
        with self._running():
            example = self._built.model.example(
                self._tensor([picture.at(size)]),
                torch.from_numpy(resize(mask_hw, size))[None, None].to(self._built.device),
                self._noise(*size),
            )
        return on_cpu(example)

    def grown_example(
        self, picture: Picture, marks: Points | Scribbles
    ) -> tuple[Example, NDArray[np.float32]]:
        """As `example`, with a mask grown from what the backbone sees; the mask too, h w."""
        seeds = seeds_of(marks, picture.size, self.input_size(picture))
        with self._running():
            features = self._extracted(picture)
            mask_hw = grown_mask(features, seeds)
        mask_b1hw = torch.from_numpy(mask_hw)[None, None].to(self._built.device)
        return on_cpu(Example(features, mask_b1hw)), mask_hw

    def placed(self, reference: Reference) -> list[Example]:
        """A reference's examples on the device; they stay there until another one is asked for.

        Raises:
            InputError: the network cannot use an example.
        """
        kept = self._placed
        if kept is not None and kept[0] is reference:
            return kept[1]
        device = self._built.device
        if device.type == "cpu":
            return [on_device(example, device) for example in reference.examples]
        self._built.model.check(reference.examples)
        with self._running():
            examples = [on_device(example, device) for example in reference.examples]
        self._placed = reference, examples
        return examples

    def predict(self, pictures: Sequence[Picture], examples: list[Example]) -> list[Prediction]:
        """One pass over pictures of the same input size; results on the CPU, each of batch 1.

        Args:
            pictures: the targets.
            examples: the reference's, on the model's device.
        """
        size = self.input_size(pictures[0])
        with self._running():
            prediction = self._built.model(
                self._tensor([picture.at(size) for picture in pictures]),
                examples,
                self._noise(*size),
            )
        values = [getattr(prediction, field.name).float().cpu() for field in fields(Prediction)]
        return [
            Prediction(*(value[index : index + 1] for value in values))
            for index in range(len(pictures))
        ]

    def refined(self, picture: Picture, alpha: NDArray[np.float32]) -> NDArray[np.float32]:
        """Alpha of a picture with its edges refined; only where the model has a refiner."""
        if self._built.refiner is None:
            raise ValueError("the model has no refiner")
        with self._running():
            longest = self._built.config.finish.longest
            return refined_alpha(self._built.refiner, alpha, picture, longest=longest)

    def _extracted(self, picture: Picture) -> Features:
        size = self.input_size(picture)
        return self._built.model.backbone.extract(
            self._tensor([picture.at(size)]), self._noise(*size), attention=False
        )

    def _sample_noise(self, height: int, width: int) -> Noise:
        noise = self._built.model.backbone.draw_noise(height, width, self._built.config.seed)
        posterior_echw = noise.posterior_echw
        if posterior_echw is not None:
            posterior_echw = posterior_echw.to(self._built.device)
        return Noise(posterior_echw, noise.diffusion_echw.to(self._built.device))

    def _tensor(self, images: Sequence[NDArray[np.float32]]) -> Tensor:
        image_bhw3 = torch.from_numpy(np.stack(images))
        return rearrange(image_bhw3, "b h w c -> b c h w").contiguous().to(self._built.device)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """No gradients, and the precision and threads that the model was built for.

        Raises:
            DeviceMemoryError: the device's memory did not suffice.
        """
        device, dtype = self._built.device, self._built.autocast
        autocast = torch.autocast(device.type, dtype) if dtype else nullcontext()
        try:
            with (
                KERNELS.limited(self._threads, self._all_threads),
                torch.inference_mode(),
                autocast,
                self._helpers.lent(),
            ):
                yield
        except torch.OutOfMemoryError as error:
            clear_frames(error.__traceback__)  # who keeps the error must not keep the tensors
            raise DeviceMemoryError(
                f"{device} has too little memory for this: end other programs on it, choose "
                "a smaller --set input.size, or --device cpu"
            ) from error
