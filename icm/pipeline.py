"""The one public object: from photographs to mattes.

matting = icm.load("small")
reference = matting.reference("cat.jpg", "cat_mask.png")
matte = matting("other_cat.jpg", reference)
matte.cutout().save("other_cat.png")
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from icm.backbone import Noise
from icm.build import Built, build, read_model_config
from icm.config.model import InputConfig, ModelConfig
from icm.errors import IcmError, InputError
from icm.images import Picture, PictureSource, mask_of, read_image, read_mask, resize
from icm.refine import (
    closed_form_alpha,
    estimate_foreground,
    full_resolution_alpha,
    grown_mask,
    refine_alpha,
    trimap_from_alpha,
    trimap_from_guidance,
)
from icm.results import (
    Example,
    Features,
    Marks,
    Matte,
    Points,
    Prediction,
    Reference,
    Scribbles,
    seeds_of,
)
from icm.results.reference import check_model

THUMBNAIL = 256
AHEAD = 3  # pictures decoded before the device needs them, and finished after it is done
UNKNOWN = 0.5  # in a trimap
NOISE_SIZES = 64  # input sizes whose noise is kept
SMALLEST_GROWN, LARGEST_GROWN = 0.002, 0.9  # shares of the picture; beyond, marks grew wrongly

_log = logging.getLogger(__name__)


def load(
    model: str = "small",
    *,
    device: str = "auto",
    checkpoint: str | None = None,
    backbone: str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
) -> Matting:
    """Loads a model.

    Args:
        model: a bundled name ('small', 'sd21', 'training_free') or the path of a YAML file.
        device: 'auto' (CUDA where there is one), 'cpu', 'cuda' or 'cuda:N'.
        checkpoint: weights of the network to use instead of the configured ones.
        backbone: Stable Diffusion weights to use: a local folder or single file.
        seed: of the noise.
        overrides: `key=value` strings that replace values of the configuration.

    Raises:
        ConfigError: the model or a key is unknown.
        WeightsError: weights are missing or damaged; the message says how to get them.
        DeviceError: the device is not there.
    """
    given = list(overrides)
    given += [] if checkpoint is None else [f"weights={checkpoint}"]
    given += [] if backbone is None else [f"backbone.source={backbone}"]
    given += [] if seed is None else [f"seed={seed}"]
    return Matting(build(read_model_config(model, tuple(given)), device=device))


@dataclass(frozen=True)
class Failure:
    """A target that could not be matted, in the place of its matte.

    Attributes:
        name: the target's file name, or its number where it came from memory.
        error: why.
    """

    name: str
    error: IcmError


class Matting:
    """A loaded model; holds no state of any picture, so it may be shared by threads.

    Args:
        built: the model with its weights, device and precision.
    """

    def __init__(self, built: Built) -> None:
        self._built = built
        self._noise = lru_cache(maxsize=NOISE_SIZES)(self._drawn_noise)

    @property
    def config(self) -> ModelConfig:
        """What the model was built from."""
        return self._built.config

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self._built.device

    @property
    def fingerprint(self) -> str:
        """Of configuration and weights; references carry it."""
        return self._built.fingerprint

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
            examples=tuple(example for example, _ in marked),
            thumbnails=tuple(thumbnail for _, thumbnail in marked),
            model=self.config.name,
            fingerprint=self.fingerprint,
        )

    def __call__(self, target: PictureSource | Picture, reference: Reference) -> Matte:
        """Mattes one target.

        Raises:
            InputError: the target cannot be read, or the reference is of another model.
        """
        check_model(reference, self.config.name, self.fingerprint)
        picture = target if isinstance(target, Picture) else read_image(target)
        (prediction,) = self.predict([picture], reference)
        return self.finish(picture, prediction)

    def stream(
        self,
        targets: Iterable[PictureSource],
        reference: Reference,
        *,
        batch: int | None = None,
    ) -> Iterator[Matte | Failure]:
        """Mattes many targets, in order; reading, device work and finishing overlap.

        A target that fails gives a `Failure` in its place, and the rest goes on.

        Args:
            targets: read one by one, a few ahead of need.
            reference: of this model.
            batch: targets in one pass on a GPU; None for the configured number. A CPU takes one
                at a time, so that a result never depends on what else was in the batch.
        """
        check_model(reference, self.config.name, self.fingerprint)
        size = (batch or self.config.batch) if self.device.type == "cuda" else 1
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as finisher:
            pending: deque[Future[Matte | Failure]] = deque()
            for group in self._groups(_read_ahead(targets, reader, size + AHEAD), size):
                pending.extend(self._submit(group, reference, finisher))
                while len(pending) > size + AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _groups(
        self, pictures: Iterable[Picture | Failure], most: int
    ) -> Iterator[list[Picture] | Failure]:
        """Consecutive pictures of one input size, at most so many; failures stand alone."""
        group: list[Picture] = []
        for item in pictures:
            full = len(group) == most
            other = isinstance(item, Failure) or (
                bool(group) and self.input_size(item) != self.input_size(group[0])
            )
            if group and (full or other):
                yield group
                group = []
            if isinstance(item, Failure):
                yield item
            else:
                group.append(item)
        if group:
            yield group

    def _submit(
        self, group: list[Picture] | Failure, reference: Reference, finisher: ThreadPoolExecutor
    ) -> list[Future[Matte | Failure]]:
        """Runs the device on a group and hands the rest of the work to another thread."""
        if isinstance(group, Failure):
            return [finisher.submit(Failure, group.name, group.error)]
        try:
            predictions = self.predict(group, reference)
        except IcmError as error:
            return [finisher.submit(Failure, picture.name, error) for picture in group]
        return [
            finisher.submit(self._finished_or_failure, picture, prediction)
            for picture, prediction in zip(group, predictions, strict=True)
        ]

    def _finished_or_failure(self, picture: Picture, prediction: Prediction) -> Matte | Failure:
        try:
            return self.finish(picture, prediction)
        except IcmError as error:
            return Failure(picture.name, error)

    def _marked(
        self, image: PictureSource, mask: Marks | None
    ) -> tuple[Example, NDArray[np.uint8]]:
        picture = read_image(image)
        if isinstance(mask, Points | Scribbles):
            return self._grown(picture, mask)
        mask_hw = mask_of(picture) if mask is None else read_mask(mask, picture.size)
        size = self.input_size(picture)
        small_mask_hw = resize(mask_hw, size)
        noise = self._noise(*size)
        with self._running():
            example = self._built.model.example(
                self._tensor([picture.at(size)]),
                torch.from_numpy(small_mask_hw)[None, None].to(self.device),
                noise,
            )
        return _on_cpu(example), _thumbnail(picture, mask_hw)

    def _grown(
        self, picture: Picture, marks: Points | Scribbles
    ) -> tuple[Example, NDArray[np.uint8]]:
        """As `_marked`, with the mask grown from what the backbone sees of the picture."""
        size = self.input_size(picture)
        seeds = seeds_of(marks, picture.size, size)
        with self._running():
            features = self._built.model.backbone.extract(
                self._tensor([picture.at(size)]), self._noise(*size), attention=False
            )
            mask_hw = grown_mask(features, seeds)
        _warn_of_extremes(mask_hw, picture.name or "the reference")
        mask_b1hw = torch.from_numpy(mask_hw)[None, None].to(self.device)
        return _on_cpu(Example(features, mask_b1hw)), _thumbnail(picture, mask_hw)

    def predict(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        """One pass over pictures of the same input size; results on the CPU, each of batch 1.

        With `input_size` and `finish` it is what `stream` is made of, for callers that schedule the
        work themselves.
        """
        size = self.input_size(pictures[0])
        with self._running():
            prediction = self._built.model(
                self._tensor([picture.at(size) for picture in pictures]),
                [_on(example, self.device) for example in reference.examples],
                self._noise(*size),
            )
        fields = [
            getattr(prediction, name).float().cpu() for name in Prediction.__dataclass_fields__
        ]
        return [
            Prediction(*(values[index : index + 1] for values in fields))
            for index in range(len(pictures))
        ]

    def finish(self, picture: Picture, prediction: Prediction) -> Matte:
        """From the network's prediction to a matte at the picture's own size."""
        confidence = float(prediction.confidence_b[0])
        present = confidence >= self.config.finish.present_threshold
        guidance = prediction.guidance_b1hw[0, 0].numpy()
        if present:
            alpha, trimap = self._full_alpha(picture, prediction, guidance)
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
            estimate_foreground=estimate_foreground,
        )

    def _full_alpha(
        self, picture: Picture, prediction: Prediction, guidance: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        method = self.config.finish.method
        if method == "closed_form":
            trimap = trimap_from_guidance(guidance, picture.size)
            if np.all(trimap == UNKNOWN):
                raise InputError(
                    "nothing in the picture is clearly the object or clearly not: mark another "
                    "reference, or use a trained model"
                )
            return closed_form_alpha(picture.rgb, trimap), trimap
        small = prediction.alpha_b1hw[0, 0].numpy()
        if self._built.refiner is not None:
            with self._running():
                longest = self.config.finish.longest
                alpha = refine_alpha(self._built.refiner, small, picture, longest=longest)
        elif method == "guided":
            alpha = full_resolution_alpha(small, picture.rgb)
        else:
            alpha = resize(small, picture.size)
        return alpha, trimap_from_alpha(alpha)

    def input_size(self, picture: Picture) -> tuple[int, int]:
        """Height and width at which the network sees a picture."""
        return input_size(picture.size, self.config.input, self._built.model.backbone.stride)

    def _drawn_noise(self, height: int, width: int) -> Noise:
        return self._built.model.backbone.draw_noise(height, width, self.config.seed)

    def _tensor(self, images: Sequence[NDArray[np.float32]]) -> Tensor:
        image_bhw3 = torch.from_numpy(np.stack(images))
        return rearrange(image_bhw3, "b h w c -> b c h w").contiguous().to(self.device)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """No gradients, and the precision that the model was built for."""
        dtype = self._built.autocast
        autocast = torch.autocast(self.device.type, dtype) if dtype else nullcontext()
        with torch.inference_mode(), autocast:
            yield


def input_size(size: tuple[int, int], config: InputConfig, stride: int) -> tuple[int, int]:
    """Height and width at which a picture is shown to the network.

    Either a square, or a rectangle of about the square's area and the picture's proportions, but
    no more elongated than the configuration allows; multiples of the backbone's stride.
    """
    if config.shape == "square":
        return config.size, config.size
    height, width = size
    ratio = min(max(width / height, 1 / config.most_elongated), config.most_elongated)
    sides = config.size / math.sqrt(ratio), config.size * math.sqrt(ratio)
    short, long = (max(stride, round(side / stride) * stride) for side in sides)
    return short, long


def _pair(pair: object) -> tuple[PictureSource, Marks | None]:
    if isinstance(pair, list | tuple) and len(pair) == 2:
        return pair[0], pair[1]
    raise InputError("several references are given as (picture, mask) pairs")


def _warn_of_extremes(mask_hw: NDArray[np.float32], label: str) -> None:
    share = float(mask_hw.mean())
    if SMALLEST_GROWN <= share <= LARGEST_GROWN:
        return
    _log.warning(
        "%s: the marks grew to %.1f %% of the picture: look at the reference, mark more places on "
        "the object and beside it, or paint the whole mask",
        label,
        100 * share,
    )


def _read_ahead(
    targets: Iterable[PictureSource], reader: ThreadPoolExecutor, ahead: int
) -> Iterator[Picture | Failure]:
    """Pictures in order, a bounded number of them read before they are asked for."""
    waiting: deque[Future[Picture | Failure]] = deque()
    for number, target in enumerate(targets):
        waiting.append(reader.submit(_read, target, number))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read(target: PictureSource, number: int) -> Picture | Failure:
    try:
        return read_image(target)
    except IcmError as error:
        named = str(target) if isinstance(target, str | Path) else f"target {number + 1}"
        return Failure(named, error)


def _thumbnail(picture: Picture, mask_hw: NDArray[np.float32]) -> NDArray[np.uint8]:
    scale = min(1.0, THUMBNAIL / max(picture.size))
    size = (max(1, round(picture.size[0] * scale)), max(1, round(picture.size[1] * scale)))
    small = np.dstack([picture.at(size), resize(mask_hw, size)])
    return np.rint(small * 255).astype(np.uint8)


def _on_cpu(example: Example) -> Example:
    moved = _on(example, torch.device("cpu"))
    maps = tuple(map_bchw.float().contiguous() for map_bchw in moved.features.maps)
    return Example(Features(moved.features.image_b3hw, maps), moved.mask_b1hw)


def _on(example: Example, device: torch.device) -> Example:
    features = example.features
    return Example(
        Features(features.image_b3hw.to(device), tuple(m.to(device) for m in features.maps)),
        example.mask_b1hw.to(device),
    )
