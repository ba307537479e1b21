"""The one public object: from photographs to mattes.

matting = icm.load("small")
reference = matting.reference("cat.jpg", "cat_mask.png")
matte = matting("other_cat.jpg", reference)
matte.cutout().save("other_cat.png")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from icm.build import Built, build, read_model_config
from icm.config.model import ModelConfig
from icm.config.results import Absent
from icm.engine.finish import enlarged, finished, is_matted, solver_ready, with_solved_edges
from icm.engine.inference import Inference
from icm.engine.marking import Marking
from icm.engine.preparation import (
    check_visible,
    thumbnail,
    warn_of_extremes,
    warn_of_no_mask,
)
from icm.engine.second_pass import both_passes, part_about, shown
from icm.engine.streaming import Failure, stream_mattes
from icm.errors import InputError
from icm.images import Picture, PictureSource, mask_of, read_image, read_mask, resize
from icm.models.small.cascade import enlarged_alpha
from icm.results import (
    Computed,
    Example,
    Marks,
    Matte,
    Points,
    Prediction,
    Reference,
    Scribbles,
)
from icm.results.reference import SUFFIX, check_model

ReferenceSource = PictureSource | Reference

__all__ = ["Failure", "Marking", "Matting", "load"]


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
        self._inference = Inference(built)

    @property
    def config(self) -> ModelConfig:
        """Configuration that the model was built from."""
        return self._built.config

    @property
    def device(self) -> torch.device:
        """Device that the model runs on."""
        return self._built.device

    @property
    def parallel(self) -> int:
        """Pictures that gain from being computed side by side, by as many threads."""
        return self._inference.parallel

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
        image: ReferenceSource | Sequence[tuple[ReferenceSource, Marks | None]],
        mask: Marks | None = None,
    ) -> Reference:
        """Makes a reference from one marked photograph, or from several of the same object.

        Args:
            image: the photograph: path, bytes, PIL image or uint8 array `h w 3`; or a reference
                that was made before, as it is or as the path of its `.icmref` file. Or a list of
                (photograph, mask) pairs.
            mask: white on the object, of the photograph's size; may be left out where the
                photograph is a cut-out whose alpha is the mask. `Points` or `Scribbles` are grown
                to a mask, which the reference's thumbnail shows.

        Raises:
            InputError: a picture cannot be read, or the mask does not fit, or marks nothing or all,
                or is given for what holds its own; a reference of another model.
        """
        pairs = image if isinstance(image, list | tuple) else [(image, mask)]
        if not pairs:
            raise InputError("no reference picture was given")
        if isinstance(image, list | tuple) and mask is not None:
            raise InputError("give each of several reference pictures its own mask, in pairs")
        first, *others = (self._single(*_pair(pair)) for pair in pairs)
        return sum(others, start=first)

    def _single(self, image: ReferenceSource, mask: Marks | None) -> Reference:
        """The reference of one photograph, or one that was made before."""
        path = Path(image) if isinstance(image, str | Path) else Path()
        saved = path.suffix.lower() == SUFFIX
        if not saved and not isinstance(image, Reference):
            with solver_ready(self.config.finish):  # for the targets that will follow
                examples, small = self._marked(image, mask)
            return Reference(tuple(examples), (small,), self.config.name, self.fingerprint)
        if mask is not None:
            what = path.name or "the reference"
            raise InputError(f"{what} holds its mask already: leave out mask and points")
        made = image if isinstance(image, Reference) else Reference.load(path)
        check_model(made, self.config.name, self.fingerprint)
        return made

    def marking(self, image: PictureSource) -> Marking:
        """Looks at a photograph once, so that marks on it grow to masks quickly, again and again.

        Args:
            image: as for `reference`, which takes the mask that the marks have grown to.

        Raises:
            InputError: the picture cannot be read.
        """
        picture = read_image(image)
        return Marking(self._inference.features(picture), picture.size)

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
        return self.finish(picture, self.refine(picture, prediction, absent), absent)

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
        label = picture.name or "the reference"
        if isinstance(mask, Points | Scribbles):
            example, mask_hw = self._inference.grown_example(picture, mask)
            warn_of_extremes(mask_hw, label)
        else:
            mask_hw = mask_of(picture) if mask is None else read_mask(mask, picture.size)
            if isinstance(mask, str | Path):
                warn_of_no_mask(mask_hw, Path(mask).name)
            check_visible(resize(mask_hw, self.input_size(picture)), label)
            example = self._inference.example(picture, mask_hw)
        examples = [example, *self._zoomed_example(picture, mask_hw)]
        return examples, thumbnail(picture, mask_hw)

    def _zoomed_example(self, picture: Picture, mask_hw: NDArray[np.float32]) -> list[Example]:
        """The part about a small object as one more example, where the configuration asks."""
        times = self.config.input.zoom_reference
        part = part_about(mask_hw, times) if times is not None else None
        if part is None:
            return []
        place = part.pixels(mask_hw.shape)
        return [self._inference.example(shown(picture, part), mask_hw[place])]

    def predict(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        """One pass over pictures of the same input size; results on the CPU, each of batch 1.

        Small objects get a zoomed second pass, and edges are solved anew from the picture's
        colours, where the configuration asks for it. With `input_size`, `refine` and `finish` it is
        what `stream` is made of, for callers that schedule the work themselves.
        """
        config = self.config
        with solver_ready(config.finish):
            examples = self._inference.placed(reference)
            found = self._inference.predict(pictures, examples)
            if config.input.zoom_target is not None:
                found = self._second_pass(pictures, found, examples, config.input.zoom_target)
        return with_solved_edges(pictures, found, config.finish)

    def _second_pass(
        self,
        pictures: Sequence[Picture],
        first: list[Prediction],
        examples: list[Example],
        times: float,
    ) -> list[Prediction]:
        """The predictions, joined with those of the parts about small objects."""
        parts = {}
        for index, prediction in enumerate(first):
            part = part_about(prediction.alpha_b1hw[0, 0].numpy(), times)
            if part is not None:
                parts[index] = part
        zoomed = {index: shown(pictures[index], part) for index, part in parts.items()}
        results = list(first)
        for group in self._of_one_size(zoomed):
            second = self._inference.predict([zoomed[index] for index in group], examples)
            for index, prediction in zip(group, second, strict=True):
                results[index] = both_passes(first[index], prediction, parts[index])
        return results

    def _of_one_size(self, pictures: Mapping[int, Picture]) -> list[list[int]]:
        """Those that can share a pass; a CPU takes one at a time, as of the first pass."""
        if self.device.type == "cpu":
            return [[index] for index in pictures]
        groups: dict[tuple[int, int], list[int]] = {}
        for index, picture in pictures.items():
            groups.setdefault(self.input_size(picture), []).append(index)
        return list(groups.values())

    def refine(
        self, picture: Picture, prediction: Prediction, absent: Absent | None = None
    ) -> Computed:
        """The rest of the device's work on a picture: its detail refiner, where there is one."""
        if self._built.refiner is None or not is_matted(prediction, self.config.finish, absent):
            return Computed(prediction)
        alpha = prediction.alpha_b1hw[0, 0].numpy()
        return Computed(prediction, self._inference.refined(picture, alpha))

    def finish(self, picture: Picture, computed: Computed, absent: Absent | None = None) -> Matte:
        """From what the device made of it to a matte at the picture's own size."""
        return finished(picture, computed, self.config.finish, absent, self.full_size)

    def full_size(self, picture: Picture, alpha: NDArray[np.float32]) -> NDArray[np.float32]:
        """Brings an alpha of the network's size to the picture's: finishing alone.

        Args:
            picture: whose alpha it is.
            alpha: h w in [0, 1], at any size, of the whole picture.
        """
        if self._built.refiner is not None:
            return enlarged_alpha(self._inference.refined(picture, alpha), picture)
        return enlarged(picture, alpha, self.config.finish)

    def input_size(self, picture: Picture) -> tuple[int, int]:
        """Height and width at which the network sees a picture."""
        return self._inference.input_size(picture)


def _pair(pair: object) -> tuple[ReferenceSource, Marks | None]:
    if isinstance(pair, list | tuple) and len(pair) == 2:
        return pair[0], pair[1]
    raise InputError("several references are given as (picture, mask) pairs")
