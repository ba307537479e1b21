"""The watch over a fake GPU sees each kind of slip when it is planted, and nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensor

from icm.functional.ridge import weighted_ridge_scores
from tests.devices.fake_gpu import GPU, DtypeSlipError, HiddenWaitError, fake_gpu


@pytest.fixture
def watch():
    with fake_gpu() as seen:
        yield seen


def ones(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.ones(*size, device=GPU, dtype=dtype)


READS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "tolist": lambda x: x.tolist(),
    "if": lambda x: 1 if (x > 0).any() else 0,
    "bool": lambda x: bool((x == 0).all()),
    "chosen by truth": lambda x: x[x > 0],
    "written by truth": lambda x: x.index_put_((x > 0,), ones(())),
    "nonzero": torch.nonzero,
    "masked_select": lambda x: torch.masked_select(x, x > 0),
    "unique": torch.unique,
    "equal": lambda x: torch.equal(x, x + 1),
    "cpu": lambda x: x.cpu(),
    "numpy": lambda x: x.cpu().numpy(),
    "constant": lambda x: x + torch.linspace(0, 1, 3).to(GPU),
    "written from a CPU": lambda x: x.copy_(torch.ones(3, 3)),
    "cholesky": torch.linalg.cholesky,
    "inverse": torch.linalg.inv,
}


@pytest.mark.parametrize("slip", READS)
@pytest.mark.parametrize("gradients", [True, False])
def test_what_waits_is_refused(watch, slip, gradients) -> None:
    with torch.inference_mode(not gradients):
        x = ones(3, 3)
        with watch.closely(), pytest.raises(HiddenWaitError):
            READS[slip](x)


@pytest.mark.parametrize(
    "slip",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.cat([x, torch.zeros(1, 3)]),
        lambda x: x @ torch.ones(3, 3),
        lambda x: F.conv2d(x[None, None], torch.ones(1, 1, 3, 3)),
    ],
)
def test_a_tensor_left_on_the_cpu_is_refused(watch, slip) -> None:
    x = ones(3, 3)
    with watch.closely(), pytest.raises(RuntimeError, match="device"):
        slip(x)


@pytest.mark.parametrize(
    "slip",
    [
        lambda x: x @ x.bfloat16(),
        lambda x: F.conv2d(x[None, None], ones(1, 1, 3, 3, dtype=torch.bfloat16)),
        lambda x: F.linear(x.half(), x, x[0]),
        lambda x: x * x.double(),
        lambda x: x + ones(3, dtype=torch.float64),
    ],
)
def test_a_dtype_slip_is_refused(watch, slip) -> None:
    x = ones(3, 3)
    with watch.closely(), pytest.raises((DtypeSlipError, RuntimeError), match=r"float|dtype"):
        slip(x)


def test_what_a_gpu_does_by_itself_passes(watch) -> None:
    x = ones(3, 3)
    with watch.closely():
        y = torch.where(x > 0, x, 0.0).masked_fill(x > 1, 2.0) + 0.5
        y = y[:, 1:][torch.zeros(2, dtype=torch.long, device=GPU)]
        lower, _ = torch.linalg.cholesky_ex(x)
        y = y.sum() + lower.sum() + torch.arange(3, device=GPU).sum() * x.new_full((), 2.0)
        with torch.autocast("cuda", torch.bfloat16):
            assert F.linear(x, x).dtype == torch.bfloat16
    assert isinstance(y, FakeTensor)
    assert y.device == GPU
    assert watch.products == {torch.bfloat16: 1}


def test_the_ridge_does_not_wait(watch) -> None:
    target, reference = (ones(1, count, 2, dtype=torch.bfloat16) for count in (4, 5))
    with watch.closely():
        scores_bn = weighted_ridge_scores(target, reference, ones(1, 5), ones(1, 5), 0.1)
    assert scores_bn.device == GPU
    assert scores_bn.shape == (1, 4)
    assert scores_bn.dtype == torch.float32


def test_the_ridge_refuses_what_has_no_solution_on_a_cpu() -> None:
    broken = torch.full((1, 5, 2), torch.nan)
    with pytest.raises(torch.linalg.LinAlgError):
        weighted_ridge_scores(broken, broken, torch.ones(1, 5), torch.ones(1, 5), 0.1)


def test_outside_of_it_torch_is_as_before() -> None:
    with fake_gpu():
        pass
    assert torch.ones(2).sum().item() == 2
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError)):
            torch.ones(2).to("cuda")
