"""The facade: determinism, geometry, references, streams and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import icm
from icm.config.model import InputConfig
from icm.engine.preparation import input_size
from icm.errors import ConfigError, DeviceError, InputError, WeightsError
from icm.images import Picture
from icm.matting import Failure, Matting
from icm.results import Prediction
from tests.conftest import TINY_SMALL


@pytest.fixture(scope="module")
def matting() -> Matting:
    return icm.load("small", device="cpu", overrides=TINY_SMALL)


def photo(seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8)


def square(size: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[20:40, 30:60] = 255
    return mask


@pytest.fixture(scope="module")
def reference(matting: Matting) -> icm.Reference:
    return matting.reference(photo(0), square())


def test_a_matte_has_the_targets_size_and_range(matting: Matting, reference: icm.Reference) -> None:
    matte = matting(photo(1, (33, 71)), reference)
    assert matte.alpha.shape == (33, 71)
    assert matte.alpha.dtype == np.float32
    assert matte.alpha.min() >= 0
    assert matte.alpha.max() <= 1
    assert matte.cutout().size == (71, 33)
    assert 0 <= matte.confidence <= 1


def test_the_same_target_gives_the_same_bytes_in_any_order_and_batch(
    matting: Matting, reference: icm.Reference
) -> None:
    targets = [photo(seed, (40 + 8 * (seed % 2), 64)) for seed in range(7)]
    alone = [matting(target, reference).alpha.tobytes() for target in targets]
    for batch in (1, 3, 7):
        streamed = list(matting.stream(targets, reference, batch=batch))
        assert [matte.alpha.tobytes() for matte in streamed] == alone
    backwards = list(matting.stream(targets[::-1], reference))
    assert [matte.alpha.tobytes() for matte in backwards] == alone[::-1]


def test_the_random_state_of_the_process_changes_nothing(
    matting: Matting, reference: icm.Reference
) -> None:
    first = matting(photo(1), reference).alpha
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the legacy state is the one that others may have touched
    assert np.array_equal(matting(photo(1), reference).alpha, first)


def test_threads_that_others_change_change_nothing(
    matting: Matting, reference: icm.Reference
) -> None:
    first = matting(photo(1), reference).alpha
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)  # as numba does, once it has estimated a foreground
        assert np.array_equal(matting(photo(1), reference).alpha, first)
    finally:
        torch.set_num_threads(before)


def test_the_seed_of_the_configuration_changes_the_noise(
    matting: Matting, reference: icm.Reference
) -> None:
    other = icm.load("small", device="cpu", seed=1, overrides=TINY_SMALL)
    other._built.model.load_state_dict(matting._built.model.state_dict())
    alpha = other(photo(1), other.reference(photo(0), square())).alpha
    assert not np.array_equal(alpha, matting(photo(1), reference).alpha)


def test_a_model_without_weights_is_random_but_always_the_same(
    matting: Matting, reference: icm.Reference
) -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = icm.load("small", device="cpu", overrides=TINY_SMALL)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(again(photo(1), reference).alpha, matting(photo(1), reference).alpha)


def test_a_saved_reference_gives_the_same_bytes(
    matting: Matting, reference: icm.Reference, tmp_path: Path
) -> None:
    loaded = icm.Reference.load(reference.save(tmp_path / "object.icmref"))
    assert np.array_equal(matting(photo(1), loaded).alpha, matting(photo(1), reference).alpha)


def test_several_references_are_not_one(matting: Matting, reference: icm.Reference) -> None:
    two = matting.reference([(photo(0), square()), (photo(5, (90, 50)), square((90, 50)))])
    assert len(two.thumbnails) == 2
    assert not np.array_equal(matting(photo(1), two).alpha, matting(photo(1), reference).alpha)
    joined = reference + matting.reference(photo(5, (90, 50)), square((90, 50)))
    assert np.array_equal(matting(photo(1), two).alpha, matting(photo(1), joined).alpha)


def test_saved_references_stand_among_photographs(
    matting: Matting, reference: icm.Reference, tmp_path: Path
) -> None:
    saved = reference.save(tmp_path / "object.icmref")
    other = (photo(5, (90, 50)), square((90, 50)))
    expected = matting(photo(1), matting.reference([(photo(0), square()), other])).alpha
    for first in (str(saved), saved, reference):
        joined = matting.reference([(first, None), other])
        assert np.array_equal(matting(photo(1), joined).alpha, expected)
    with pytest.raises(InputError, match=r"object\.icmref holds its mask already"):
        matting.reference(saved, square())
    with pytest.raises(InputError, match="the reference holds its mask already"):
        matting.reference(reference, square())


def test_a_cut_out_brings_its_own_mask(matting: Matting) -> None:
    rgba = np.dstack([photo(0), square()])
    found = matting.reference(rgba).examples
    given = matting.reference(photo(0), square()).examples
    for example, same in zip(found, given, strict=True):
        assert torch.equal(example.mask_b1hw, same.mask_b1hw)


def test_a_failing_target_stands_in_its_place_and_the_rest_is_done(
    matting: Matting, reference: icm.Reference, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no picture")
    results = list(matting.stream([photo(1), broken, photo(2)], reference))
    assert isinstance(results[0], icm.Matte)
    assert isinstance(results[1], Failure)
    assert results[1].name == str(broken)
    assert np.array_equal(results[2].alpha, matting(photo(2), reference).alpha)


def test_another_models_reference_is_refused(reference: icm.Reference) -> None:
    other = icm.load("small", device="cpu", overrides=[*TINY_SMALL, "input.size=96"])
    with pytest.raises(InputError, match="make it again"):
        other(photo(1), reference)
    with pytest.raises(InputError, match="make it again"):
        other.reference(reference)
    with pytest.raises(InputError, match="make it again"):
        next(other.stream([photo(1)], reference))


class PaintedSquare(Matting):
    """A model whose network has found a square, wherever the picture's own red square is."""

    def predict(self, pictures: list[Picture], reference: icm.Reference) -> list[Prediction]:
        found = []
        for picture in pictures:
            red = picture.at(self.input_size(picture))[..., 0]
            alpha = torch.from_numpy((red > 0.5).astype(np.float32))[None, None]
            found.append(Prediction(alpha, alpha, torch.ones(1)))
        return found


@pytest.mark.parametrize("size", [(64, 64), (61, 97), (300, 40), (40, 500), (512, 640)])
@pytest.mark.parametrize("method", ["refined", "guided", "bicubic"])
def test_alpha_lies_on_the_object_to_the_pixel(size: tuple[int, int], method: str) -> None:
    built = icm.load(
        "small", device="cpu", overrides=[*TINY_SMALL, f"finish.method={method}"]
    )._built
    model = PaintedSquare(built)
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = slice(height // 4, height // 2), slice(width // 4, 3 * width // 4)
    image[rows, columns] = 255
    reference = model.reference(image, image[..., 0])
    found = model(image, reference).alpha > 0.5
    true = image[..., 0] > 0
    # The network's grid is coarser than the picture: half of its cell may be missed, no shift.
    cell = max(1.0, height / 64, width / 64)
    for axis, length in ((0, height), (1, width)):
        inside = np.flatnonzero(found.any(axis=1 - axis)), np.flatnonzero(true.any(axis=1 - axis))
        assert abs(inside[0][0] - inside[1][0]) <= cell, (axis, length)
        assert abs(inside[0][-1] - inside[1][-1]) <= cell, (axis, length)


def test_a_rotated_photograph_is_matted_upright(matting: Matting) -> None:
    image = Image.fromarray(photo(1, (48, 80)))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    upright = np.asarray(image.transpose(Image.Transpose.ROTATE_270))
    reference = matting.reference(photo(0), square())
    rotated = matting(buffer.getvalue(), reference)
    assert rotated.alpha.shape == (80, 48)
    assert np.array_equal(rotated.alpha, matting(upright, reference).alpha)


def test_transparent_parts_of_a_target_stay_transparent(
    matting: Matting, reference: icm.Reference
) -> None:
    hole = np.full((60, 80), 255, np.uint8)
    hole[:30] = 0
    alpha = matting(np.dstack([photo(1), hole]), reference).alpha
    assert alpha[:30].max() == 0
    assert alpha[30:].max() > 0


@pytest.fixture(scope="module")
def doubting() -> Matting:
    """A model to which the object is never likely enough."""
    return icm.load("small", device="cpu", overrides=[*TINY_SMALL, "finish.present_threshold=1"])


def test_presence_is_advice(matting: Matting, doubting: Matting) -> None:
    """A matte is made however unlikely the object is: the one that a surer model makes."""
    doubtful = doubting(photo(1), doubting.reference(photo(0), square()))
    sure = matting(photo(1), matting.reference(photo(0), square()))
    assert (doubtful.present, sure.present) == (False, True)
    assert not doubtful.skipped
    assert doubtful.confidence == sure.confidence
    assert doubtful.alpha.max() > 0
    assert np.array_equal(doubtful.alpha, sure.alpha)


@pytest.mark.parametrize("absent", ["empty", "skip"])
def test_what_may_be_missing_is_left_empty_or_skipped_where_asked(
    doubting: Matting, tmp_path: Path, absent: icm.Absent
) -> None:
    reference = doubting.reference(photo(0), square())
    overrides = [*TINY_SMALL, "finish.present_threshold=1"]
    other = icm.load("small", device="cpu", overrides=overrides, absent=absent)
    assert other.config.finish.absent == absent
    mattes = [
        other(photo(1), reference),
        doubting(photo(1), reference, absent=absent),
        *doubting.stream([photo(1)], reference, absent=absent),
    ]
    for number, matte in enumerate(mattes):
        assert isinstance(matte, icm.Matte)
        assert not matte.present
        assert matte.alpha.max() == 0
        assert matte.skipped == (absent == "skip")
        assert len(matte.save(tmp_path, str(number))) == (0 if absent == "skip" else 2)
    kept = other(photo(1), reference, absent="keep")
    assert kept.alpha.max() > 0
    assert not kept.skipped


def test_what_is_present_is_never_withheld(matting: Matting, reference: icm.Reference) -> None:
    kept, skipped = (matting(photo(1), reference, absent=each) for each in ("keep", "skip"))
    assert skipped.present and not skipped.skipped
    assert np.array_equal(kept.alpha, skipped.alpha)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 4000), (700, 2)])
def test_any_size_and_shape_works(
    matting: Matting, reference: icm.Reference, size: tuple[int, int]
) -> None:
    assert matting(photo(1, size), reference).alpha.shape == size


def test_input_sizes_keep_the_proportions_within_limits() -> None:
    config = InputConfig(size=256)
    assert input_size((500, 500), config, 16) == (256, 256)
    assert input_size((300, 600), config, 16) == (176, 368)
    assert input_size((10, 9000), config, 16) == (176, 368)
    assert input_size((9000, 10), config, 16) == (368, 176)
    assert input_size((300, 600), InputConfig(size=768, shape="square"), 8) == (768, 768)


def two_coloured() -> tuple[np.ndarray, np.ndarray]:
    """A red square on grey, and its mask."""
    image = np.full((128, 128, 3), 90, np.uint8)
    image[32:96, 32:96] = (220, 40, 40)
    return image, (image[..., 0] > 200).astype(np.uint8) * 255


def test_training_free_mode_mattes_with_the_bundled_backbone() -> None:
    model = icm.load("training_free", device="cpu")
    image, mask = two_coloured()
    matte = model(image, model.reference(image, mask))
    assert matte.present
    assert matte.alpha[48:80, 48:80].mean() > 0.9
    assert matte.alpha[:16].mean() < 0.1


def test_training_free_mode_says_when_it_can_tell_nothing() -> None:
    overrides = [one for one in TINY_SMALL if not one.startswith("network.")]
    overrides = [one.replace("denoiser.", "") for one in overrides]
    # Random attention, applied often, averages everything away.
    model = icm.load("training_free", device="cpu", overrides=[*overrides, "network.steps=9"])
    image, mask = two_coloured()
    with pytest.raises(InputError, match="clearly the object"):
        model(photo(1), model.reference(image, mask))


def test_bad_masks_are_named(matting: Matting) -> None:
    with pytest.raises(InputError, match="marks nothing"):
        matting.reference(photo(0), np.zeros((60, 80), np.uint8))
    with pytest.raises(InputError, match="marks the whole picture"):
        matting.reference(photo(0), np.full((60, 80), 255, np.uint8))
    with pytest.raises(InputError, match="save the mask at the reference's size"):
        matting.reference(photo(0), square((50, 80)))
    with pytest.raises(InputError, match="has no mask"):
        matting.reference(photo(0))
    with pytest.raises(InputError, match="no reference picture"):
        matting.reference([])


def test_a_device_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        with pytest.raises(DeviceError, match="there is no cuda:99"):
            icm.load("small", device="cuda:99", overrides=TINY_SMALL)
    else:
        with pytest.raises(DeviceError, match="no CUDA device is here"):
            icm.load("small", device="cuda", overrides=TINY_SMALL)
    with pytest.raises(DeviceError, match="unknown device 'warp'"):
        icm.load("small", device="warp", overrides=TINY_SMALL)


def test_paths_are_paths_whatever_their_characters() -> None:
    with pytest.raises(WeightsError, match="null"):
        icm.load("small", device="cpu", checkpoint="null")


def test_an_object_too_small_to_be_seen_is_refused(matting: Matting) -> None:
    speck = np.zeros((900, 900), np.uint8)
    speck[450, 450] = 255
    with pytest.raises(InputError, match="crop the photograph"):
        matting.reference(photo(0, (900, 900)), speck)


@pytest.mark.parametrize("source", [None, 3, bytearray(b"x")])
def test_what_is_no_picture_is_a_clear_error(
    matting: Matting, reference: icm.Reference, source: object
) -> None:
    with pytest.raises(InputError, match="is no picture"):
        matting(source, reference)


def test_a_path_is_no_reference(matting: Matting) -> None:
    with pytest.raises(InputError, match=r"Reference\.load"):
        matting(photo(1), "cat.icmref")


def test_references_do_not_depend_on_how_mattes_are_finished(reference: icm.Reference) -> None:
    other = icm.load("small", device="cpu", overrides=[*TINY_SMALL, "finish.method=bicubic"])
    assert other(photo(1), reference).alpha.shape == (60, 80)


def test_the_shipped_precision_gives_the_same_bytes_after_a_cut_out_and_in_a_thread() -> None:
    model = icm.load("small", device="cpu")
    image, mask = two_coloured()
    reference = model.reference(image, mask)
    first = model(image, reference)
    first.cutout()
    assert np.array_equal(model(image, reference).alpha, first.alpha)
    (streamed,) = model.stream([image], reference)
    assert np.array_equal(streamed.alpha, first.alpha)
    assert first.alpha[48:80, 48:80].mean() > 0.9
    assert first.alpha[:16].mean() < 0.1


def test_missing_and_foreign_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="icm weights list"):
        icm.load("small", device="cpu", checkpoint=str(tmp_path / "none.safetensors"))
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"123")
    with pytest.raises(WeightsError, match="damaged"):
        icm.load("small", device="cpu", checkpoint=str(torn))


def test_unknown_models_and_keys_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown model 'huge'"):
        icm.load("huge")
    with pytest.raises(ConfigError, match="did you mean 'size'"):
        icm.load("small", overrides=["input.sise=3"])


def stored(kind: str, picture: np.ndarray) -> bytes:
    """The picture as a file of another kind."""
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    if kind == "palette":
        image.quantize(200).save(buffer, "PNG")
    elif kind == "grey":
        image.convert("L").save(buffer, "PNG")
    elif kind == "16 bit":
        Image.fromarray(picture[..., 0].astype(np.uint16) * 257).save(buffer, "PNG")
    else:
        image.convert("CMYK").save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["palette", "grey", "16 bit", "CMYK"])
def test_every_kind_of_file_gives_results_of_its_size_and_place(kind: str) -> None:
    model = PaintedSquare(icm.load("small", device="cpu", overrides=TINY_SMALL)._built)
    image = np.zeros((90, 130, 3), np.uint8)
    image[20:60, 30:100] = 255
    matte = model(stored(kind, image), model.reference(image, image[..., 0]))
    assert matte.alpha.shape == (90, 130)
    both = ((matte.alpha > 0.5) & (image[..., 0] > 0)).sum()
    assert both / ((matte.alpha > 0.5) | (image[..., 0] > 0)).sum() > 0.9
    assert matte.cutout().size == (130, 90)
