"""The one public object: from photographs to mattes.

matting = icm.load("small")
reference = matting.reference("cat.jpg", "cat_mask.png")
matte = matting("other_cat.jpg", reference)
matte.cutout().save("other_cat.png")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from traceback import clear_frames

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from icm.backbones import Noise
from icm.build import Built, build, read_model_config
from icm.config.model import ModelConfig
from icm.config.results import Absent
from icm.engine.grown_mask import grown_mask
from icm.engine.preparation import (
    check_visible,
    input_size,
    on_cpu,
    on_device,
    thumbnail,
    warn_of_extremes,
)
from icm.engine.second_pass import joined, part_about, shown
from icm.engine.streaming import Failure, stream_mattes
from icm.errors import DeviceMemoryError, InputError
from icm.finishing import (
    closed_form_alpha,
    full_resolution_alpha,
    trimap_from_alpha,
    trimap_from_guidance,
)
from icm.images import Picture, PictureSource, mask_of, read_image, read_mask, resize
from icm.models.small.cascade import refine_alpha
from icm.results import (
    Example,
    Marks,
    Matte,
    Points,
    Prediction,
    Reference,
    Scribbles,
    seeds_of,
)
from icm.results.reference import check_model

UNKNOWN = 0.5  # in a trimap
SUREST = 1e-6  # a confidence nearer to 0 or 1 counts as this
NOISE_SIZES = 64  # input sizes whose noise is kept

__all__ = ["Failure", "Matting", "load"]


def load(
    model: str = "small",
    *,
    device: str = "auto",
    checkpoint: str | None = None,
    backbone: str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    absent: Absent | None = None,
) -> Matting:
    """Loads a model.

    Args:
        model: a bundled name ('small', 'sd21', 'training_free') or the path of a YAML file.
        device: 'auto' (CUDA where there is one), 'cpu', 'cuda' or 'cuda:N'.
        checkpoint: weights of the network to use instead of the configured ones.
        backbone: Stable Diffusion weights to use: a local folder or single file.
        seed: seed of the noise.
        overrides: `key=value` strings that replace values of the configuration.
        absent: what becomes of a picture that the object may be missing from: 'keep' (the matte is
            made all the same), 'empty' (alpha is all zero) or 'skip' (as 'empty', and saving
            writes nothing); None for the configuration's `finish.absent`, by default 'keep'.

    Raises:
        ConfigError: the model or a key is unknown, a value is impossible, or the model takes no
            `backbone`.
        WeightsError: weights are missing or damaged; the message says how to get them.
        DeviceError: the device is not there.
    """
    config = read_model_config(
        model, overrides, checkpoint=checkpoint, backbone=backbone, seed=seed, absent=absent
    )
    return Matting(build(config, device=device))


class Matting:
    """A loaded model; holds no state of any picture, so it may be shared by threads.

    Args:
        built: the model with its weights, device and precision.
    """

    def __init__(self, built: Built) -> None:
        self._built = built
        # The last bits depend on the number of threads, and other libraries change it under way.
        self._threads = torch.get_num_threads()
        self._noise = lru_cache(maxsize=NOISE_SIZES)(self._sample_noise)

    @property
    def config(self) -> ModelConfig:
        """Configuration that the model was built from."""
        return self._built.config

    @property
    def device(self) -> torch.device:
        """Device that the model runs on."""
        return self._built.device

    @property
    def fingerprint(self) -> str:
        """SHA-256 of configuration and weights; references carry it."""
        return self._built.fingerprint

    @property
    def results_fingerprint(self) -> str:
        """`fingerprint` and that of the refiner's weights, which references do not depend on."""
        parts = (self._built.fingerprint, self._built.refiner_hash)
        return "+".join(part for part in parts if part)

    def reference(
        self,
        image: PictureSource | Sequence[tuple[PictureSource, Marks | None]],
        mask: Marks | None = None,
    ) -> Reference:
        """Makes a reference from one marked photograph, or from several of the same object.

        Args:
            image: the photograph: path, bytes, PIL image or uint8 array `h w 3`. Or a list of
                (photograph, mask) pairs.
            mask: white on the object, of the photograph's size; may be left out where the
                photograph is a cut-out whose alpha is the mask. `Points` or `Scribbles` are grown
                to a mask, which the reference's thumbnail shows.

        Raises:
            InputError: a picture cannot be read, or the mask does not fit, or marks nothing or all.
        """
        pairs = image if isinstance(image, list | tuple) else [(image, mask)]
        if not pairs:
            raise InputError("no reference picture was given")
        if isinstance(image, list | tuple) and mask is not None:
            raise InputError("give each of several reference pictures its own mask, in pairs")
        marked = [self._marked(*_pair(pair)) for pair in pairs]
        return Reference(
            examples=tuple(example for examples, _ in marked for example in examples),
            thumbnails=tuple(thumbnail for _, thumbnail in marked),
            model=self.config.name,
            fingerprint=self.fingerprint,
        )

    def __call__(
        self,
        target: PictureSource | Picture,
        reference: Reference,
        *,
        absent: Absent | None = None,
    ) -> Matte:
        """Mattes one target.

        Args:
            target: path, bytes, PIL image, uint8 array `h w 3` or a picture that was read.
            reference: of this model.
            absent: as for `load`, for this target.

        Raises:
            InputError: the target cannot be read, or the reference is of another model.
        """
        check_model(reference, self.config.name, self.fingerprint)
        picture = target if isinstance(target, Picture) else read_image(target)
        (prediction,) = self.predict([picture], reference)
        return self.finish(picture, prediction, absent)

    def stream(
        self,
        targets: Iterable[PictureSource],
        reference: Reference,
        *,
        batch: int | None = None,
        absent: Absent | None = None,
    ) -> Iterator[Matte | Failure]:
        """Mattes many targets, in order; reading, device work and finishing overlap.

        A target that fails gives a `Failure` in its place, and the others are matted.

        Args:
            targets: read one by one, a few ahead of need.
            reference: of this model.
            batch: targets in one pass on a GPU; None for the configured number. A CPU takes one
                at a time, so that a result never depends on what else was in the batch.
            absent: as for `load`, for these targets.
        """
        check_model(reference, self.config.name, self.fingerprint)
        size = (batch or self.config.batch) if self.device.type == "cuda" else 1
        return stream_mattes(self, targets, reference, size, absent)

    def _marked(
        self, image: PictureSource, mask: Marks | None
    ) -> tuple[list[Example], NDArray[np.uint8]]:
        picture = read_image(image)
        if isinstance(mask, Points | Scribbles):
            return self._grown(picture, mask)
        mask_hw = mask_of(picture) if mask is None else read_mask(mask, picture.size)
        check_visible(resize(mask_hw, self.input_size(picture)), picture.name or "the reference")
        examples = [self._example(picture, mask_hw), *self._zoomed_example(picture, mask_hw)]
        return examples, thumbnail(picture, mask_hw)

    def _grown(
        self, picture: Picture, marks: Points | Scribbles
    ) -> tuple[list[Example], NDArray[np.uint8]]:
        """As `_marked`, with the mask grown from what the backbone sees of the picture."""
        size = self.input_size(picture)
        seeds = seeds_of(marks, picture.size, size)
        with self._running():
            features = self._built.model.backbone.extract(
                self._tensor([picture.at(size)]), self._noise(*size), attention=False
            )
            mask_hw = grown_mask(features, seeds)
        warn_of_extremes(mask_hw, picture.name or "the reference")
        mask_b1hw = torch.from_numpy(mask_hw)[None, None].to(self.device)
        examples = [on_cpu(Example(features, mask_b1hw)), *self._zoomed_example(picture, mask_hw)]
        return examples, thumbnail(picture, mask_hw)

    def _example(self, picture: Picture, mask_hw: NDArray[np.float32]) -> Example:
        size = self.input_size(picture)
        with self._running():
            example = self._built.model.example(
                self._tensor([picture.at(size)]),
                torch.from_numpy(resize(mask_hw, size))[None, None].to(self.device),
                self._noise(*size),
            )
        return on_cpu(example)

    def _zoomed_example(self, picture: Picture, mask_hw: NDArray[np.float32]) -> list[Example]:
        """The part about a small object as one more example, where the configuration asks."""
        times = self.config.input.zoom_reference
        part = part_about(mask_hw, times) if times is not None else None
        if part is None:
            return []
        return [self._example(shown(picture, part), mask_hw[part.pixels(mask_hw.shape)])]

    def predict(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        """One pass over pictures of the same input size; results on the CPU, each of batch 1.

        Small objects get a zoomed second pass where the configuration asks for it. With
        `input_size` and `finish` it is what `stream` is made of, for callers that schedule the
        work themselves.
        """
        examples = [on_device(example, self.device) for example in reference.examples]
        first = self._pass(pictures, examples)
        times = self.config.input.zoom_target
        if times is None:
            return first
        return [
            self._second_pass(picture, prediction, examples, times)
            for picture, prediction in zip(pictures, first, strict=True)
        ]

    def _pass(self, pictures: Sequence[Picture], examples: list[Example]) -> list[Prediction]:
        size = self.input_size(pictures[0])
        with self._running():
            prediction = self._built.model(
                self._tensor([picture.at(size) for picture in pictures]),
                examples,
                self._noise(*size),
            )
        fields = [
            getattr(prediction, name).float().cpu() for name in Prediction.__dataclass_fields__
        ]
        return [
            Prediction(*(values[index : index + 1] for values in fields))
            for index in range(len(pictures))
        ]

    def _second_pass(
        self, picture: Picture, first: Prediction, examples: list[Example], times: float
    ) -> Prediction:
        """The prediction, joined with that of the part about a small object.

        The confidence is that of the mean of both passes' logits.
        """
        alpha_hw = first.alpha_b1hw[0, 0].numpy()
        part = part_about(alpha_hw, times)
        if part is None:
            return first
        (second,) = self._pass([shown(picture, part)], examples)
        alpha_hw = joined(alpha_hw, second.alpha_b1hw[0, 0].numpy(), part)
        logits = [torch.logit(p.confidence_b.double(), eps=SUREST) for p in (first, second)]
        return replace(
            first,
            alpha_b1hw=torch.from_numpy(alpha_hw)[None, None],
            confidence_b=((logits[0] + logits[1]) / 2).sigmoid().float(),
        )

    def finish(
        self, picture: Picture, prediction: Prediction, absent: Absent | None = None
    ) -> Matte:
        """From the network's prediction to a matte at the picture's own size."""
        confidence = float(prediction.confidence_b[0])
        present = confidence >= self.config.finish.present_threshold
        absent = absent or self.config.finish.absent
        guidance = prediction.guidance_b1hw[0, 0].numpy()
        if present or absent == "keep":
            alpha, trimap = self._full_alpha(picture, prediction, present=present)
        else:
            alpha = np.zeros(picture.size, np.float32)
            trimap = np.zeros(picture.size, np.float32)
        if picture.alpha is not None:
            alpha = alpha * picture.alpha
        return Matte(
            picture=picture,
            alpha=alpha,
            guidance=guidance,
            trimap=trimap,
            confidence=confidence,
            present=present,
            skipped=not present and absent == "skip",
        )

    def full_size(self, picture: Picture, alpha: NDArray[np.float32]) -> NDArray[np.float32]:
        """Brings an alpha of the network's size to the picture's: finishing alone.

        Args:
            picture: whose alpha it is.
            alpha: h w in [0, 1], at any size, of the whole picture.
        """
        if self._built.refiner is not None:
            with self._running():
                longest = self.config.finish.longest
                return refine_alpha(self._built.refiner, alpha, picture, longest=longest)
        if self.config.finish.method == "bicubic":
            return resize(alpha, picture.size)
        return full_resolution_alpha(alpha, picture.rgb)

    def _full_alpha(
        self, picture: Picture, prediction: Prediction, *, present: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        method = self.config.finish.method
        if method == "closed_form":
            trimap = trimap_from_guidance(prediction.guidance_b1hw[0, 0].numpy(), picture.size)
            if np.all(trimap == UNKNOWN):
                if not present:  # as far as one can tell, there is nothing to take
                    return np.zeros(picture.size, np.float32), trimap
                raise InputError(
                    "nothing in the picture is clearly the object or clearly not: mark another "
                    "reference, or use a trained model"
                )
            return closed_form_alpha(picture.rgb, trimap), trimap
        alpha = self.full_size(picture, prediction.alpha_b1hw[0, 0].numpy())
        return alpha, trimap_from_alpha(alpha)

    def input_size(self, picture: Picture) -> tuple[int, int]:
        """Height and width at which the network sees a picture."""
        return input_size(picture.size, self.config.input, self._built.model.backbone.stride)

    def _sample_noise(self, height: int, width: int) -> Noise:
        noise = self._built.model.backbone.draw_noise(height, width, self.config.seed)
        posterior_echw = noise.posterior_echw
        if posterior_echw is not None:
            posterior_echw = posterior_echw.to(self.device)
        return Noise(posterior_echw, noise.diffusion_echw.to(self.device))

    def _tensor(self, images: Sequence[NDArray[np.float32]]) -> Tensor:
        image_bhw3 = torch.from_numpy(np.stack(images))
        return rearrange(image_bhw3, "b h w c -> b c h w").contiguous().to(self.device)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """No gradients, and the precision and threads that the model was built for.

        Raises:
            DeviceMemoryError: the device's memory did not suffice.
        """
        torch.set_num_threads(self._threads)
        dtype = self._built.autocast
        autocast = torch.autocast(self.device.type, dtype) if dtype else nullcontext()
        try:
            with torch.inference_mode(), autocast:
                yield
        except torch.OutOfMemoryError as error:
            clear_frames(error.__traceback__)  # who keeps the error must not keep the tensors
            raise DeviceMemoryError(
                f"{self.device} has too little memory for this: end other programs on it, choose "
                "a smaller --set input.size, or --device cpu"
            ) from error


def _pair(pair: object) -> tuple[PictureSource, Marks | None]:
    if isinstance(pair, list | tuple) and len(pair) == 2:
        return pair[0], pair[1]
    raise InputError("several references are given as (picture, mask) pairs")
