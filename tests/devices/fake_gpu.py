"""A GPU that is not there: a whole run with devices, dtypes and shapes, and without numbers.

`FakeTensorMode` carries tensors that have everything but values, so that a mixture of devices fails
as it would on a GPU. `Watch` sees each of their operations, and refuses inside of what is watched
what makes the GPU and the program wait for each other. What is on the CPU alone is computed as
ever, and what comes from the GPU to an allowed place gets values: `numbers`.
"""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.devices.tape import backward

GPU = torch.device("cuda:0")  # with a number: without one, torch asks the driver for it
_CUDA, _META = 1, 14  # c10::DeviceType
_REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"

aten = torch.ops.aten
_READS = {  # of their values, or of how many there are
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.bincount.default,
    aten._linalg_check_errors.default,  # of torch.linalg.cholesky, solve, inv
    aten.repeat_interleave.Tensor,
}
_INDEXING = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
_COPIES = {aten._to_copy.default, aten.copy_.default}
_PRODUCTS = {
    aten.mm.default,
    aten.bmm.default,
    aten.addmm.default,
    aten.baddbmm.default,
    aten.convolution.default,
    aten.convolution_backward.default,
}


class HiddenWaitError(AssertionError):
    """GPU and program wait for each other where they should not."""


class DtypeSlipError(AssertionError):
    """Tensors of two floating dtypes meet in a product, or there is float64 on the GPU."""


@dataclass(frozen=True)
class Crossing:
    """What went from CPU to GPU or back, and so made one wait for the other.

    Attributes:
        way: "in" or "out".
        place: the function of the product that asked for it.
        after: how many products the GPU had been given in all.
    """

    way: str
    place: str
    after: int


class Watch(TorchDispatchMode):
    """Looks at each operation while `closely` is entered.

    Attributes:
        products: how many products and convolutions there were of each dtype.
        crossings: in their order; those of places that were not allowed raise instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[torch.dtype] = Counter()
        self.crossings: list[Crossing] = []
        self._close = False
        self._allowed: frozenset[str] = frozenset()

    @contextmanager
    def closely(self, *allowed: str) -> Iterator[None]:
        """From here on nothing waits, except for the functions that are named."""
        before = self._close, self._allowed
        self._close, self._allowed = True, frozenset(allowed)
        try:
            yield
        finally:
            self._close, self._allowed = before

    def places(self, way: str) -> Counter[str]:
        """How often each place has crossed in a way."""
        return Counter(crossing.place for crossing in self.crossings if crossing.way == way)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not self._close or func.namespace != "aten":
            return func(*args, **kwargs)
        given = tree_leaves((args, kwargs))
        tensors = [x for x in given if isinstance(x, Tensor)]
        if not any(isinstance(x, FakeTensor) for x in tensors) and not any(
            isinstance(x, torch.device) and x.type == "cuda" for x in given
        ):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        with self:  # in inference mode composite operations come whole, with theirs unseen
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        on_gpu = [x for x in tensors if x.device.type == "cuda"]
        if on_gpu and self._reads(func, args):
            self._cross("out", str(func))
            return 0.5  # all that an allowed place may read without a copy is a number
        if func in _PRODUCTS:
            if len({x.device.type for x in tensors}) > 1:  # fake convolutions do not mind
                raise RuntimeError(f"{func}: expected all tensors to be on the same device")
            self._check_dtypes(func, on_gpu)
        result = func(*args, **kwargs)
        found = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
        if any(x.device.type == "cuda" and x.dtype == torch.float64 for x in found):
            raise DtypeSlipError(f"{func} gives float64 on the GPU")
        return self._copied(func, tensors, result) if func in _COPIES else result

    def _copied(self, func, tensors: list[Tensor], result: Tensor) -> Tensor:
        """What a copy gives: with values where it came from the GPU."""
        places = {x.device.type for x in (*tensors, result)}
        if len(places) == 1:
            return result
        self._cross("in" if result.is_cuda else "out", f"{func} of {' and '.join(sorted(places))}")
        return result if result.is_cuda else numbers(result)

    def _reads(self, func, args) -> bool:
        chosen = [x for x in tree_leaves(args[1:2]) if isinstance(x, Tensor)]
        by_truth = func in _INDEXING and any(x.dtype in (torch.bool, torch.uint8) for x in chosen)
        return func in _READS or by_truth

    def _check_dtypes(self, func, on_gpu: list[Tensor]) -> None:
        dtypes = {x.dtype for x in on_gpu if x.dtype.is_floating_point}
        if len(dtypes) > 1:
            raise DtypeSlipError(f"{func} of {' and '.join(sorted(map(str, dtypes)))}")
        self.products.update(dtypes)

    def _cross(self, way: str, what: str) -> None:
        place = _place()
        if place not in self._allowed:
            raise HiddenWaitError(f"{what} in {place}")
        self.crossings.append(Crossing(way, place, self.products.total()))


def _place() -> str:
    """The innermost function of the product that is being executed."""
    frame = sys._getframe()
    while frame is not None and not frame.f_globals.get("__name__", "").startswith("icm."):
        frame = frame.f_back
    return "" if frame is None else frame.f_code.co_qualname.split(".<locals>")[0]


def numbers(like: Tensor) -> Tensor:
    """A real tensor: of maps, a small object with a soft edge; of anything else, 0.75."""
    with unset_fake_temporarily():
        if like.ndim < 3:
            return torch.full(like.shape, 0.75).to(like.dtype)
        values = torch.zeros(like.shape)
        height, width = like.shape[-2:]
        values[..., height // 4 : height // 2, width // 4 : width // 2] = 0.5
        values[..., height // 3 : height // 2, width // 3 : width // 2] = 1.0
        return values.to(like.dtype)


@contextmanager
def fake_gpu() -> Iterator[Watch]:
    """While it is entered there is a GPU `GPU`, and every tensor that is made is fake."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if not torch.cuda.is_available():
            stack.enter_context(_guard())
            for name, answer in (
                ("torch.cuda.amp.common.amp_definitely_not_available", False),
                ("torch.cuda.is_bf16_supported", True),
            ):
                stack.enter_context(mock.patch(name, lambda *_, answer=answer: answer))
        stack.enter_context(mock.patch("torch.Tensor.backward", backward))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield stack.enter_context(Watch())


def moved(module: nn.Module) -> nn.Module:
    """The module with all its parameters and buffers on the GPU; nothing else of it moves.

    They may come from meta tensors as well, where a model is too large to be there at all.
    """
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                there = torch.empty_like(value.detach(), device=GPU)
                part._parameters[name] = nn.Parameter(there, value.requires_grad)
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = torch.empty_like(value, device=GPU)
    return module


@contextmanager
def _guard() -> Iterator[None]:
    """Gives torch without CUDA a device guard for it: that of meta tensors, which does nothing.

    `FakeTensorMode` does so itself where torch was built with CUDA and no GPU is there.
    """
    folder = Path(torch.__file__).parent / "lib"
    library = next((path for path in folder.glob("libc10.*")), None)
    try:
        slots = (ctypes.c_void_p * (_META + 1)).in_dll(ctypes.CDLL(str(library)), _REGISTRY)
    except (OSError, ValueError):
        pytest.skip("this build of torch does not show its device guards")
    before = slots[_CUDA]
    slots[_CUDA] = before or slots[_META]
    try:
        yield
    finally:
        slots[_CUDA] = before
