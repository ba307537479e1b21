"""A GPU that is not there: a whole run with devices, dtypes and shapes, and without numbers.

`FakeTensorMode` carries tensors that have everything but values, so that a mixture of devices fails
as it would on a GPU. `Watch` sees each of their operations, and refuses inside of what is watched
what makes the GPU and the program wait for each other.
"""

from __future__ import annotations

import ctypes
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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
}


class HiddenWaitError(AssertionError):
    """GPU and program wait for each other where they should not."""


class DtypeSlipError(AssertionError):
    """Tensors of two floating dtypes meet in a product, or there is float64 on the GPU."""


class Watch(TorchDispatchMode):
    """Looks at each operation on fake tensors while `closely` is entered.

    Attributes:
        products: how many products and convolutions there were of each dtype.
        waits: operations that were seen to wait, where they are counted and not refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[torch.dtype] = Counter()
        self.waits: list[str] = []
        self._close = False
        self._counting = False

    @contextmanager
    def closely(self, *, counting: bool = False) -> Iterator[None]:
        """From here on nothing waits; or what waits is counted."""
        before = self._close, self._counting
        self._close, self._counting = True, counting
        try:
            yield
        finally:
            self._close, self._counting = before

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not self._close or func.namespace != "aten":
            return func(*args, **kwargs)
        with self:  # in inference mode composite operations come whole, with theirs unseen
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        on_gpu = [x for x in tensors if x.device.type == "cuda"]
        if on_gpu:
            self._check_reads(func, args, on_gpu)
        if func in _PRODUCTS:
            if len({x.device.type for x in tensors}) > 1:  # fake convolutions do not mind
                raise RuntimeError(f"{func}: expected all tensors to be on the same device")
            self._check_dtypes(func, on_gpu)
        if func is aten._local_scalar_dense.default and self._counting:
            return 0.5
        result = func(*args, **kwargs)
        found = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
        if func in _COPIES:
            places = {x.device.type for x in (*tensors, *found)}
            if len(places) > 1:
                self._waits(f"{func} between {' and '.join(sorted(places))}")
        if any(x.device.type == "cuda" and x.dtype == torch.float64 for x in found):
            raise DtypeSlipError(f"{func} gives float64 on the GPU")
        return result

    def _check_reads(self, func, args, on_gpu: list[Tensor]) -> None:
        chosen = [x for x in tree_leaves(args[1:2]) if isinstance(x, Tensor)]
        by_truth = func in _INDEXING and any(x.dtype in (torch.bool, torch.uint8) for x in chosen)
        if func in _READS or by_truth:
            self._waits(str(func))

    def _check_dtypes(self, func, on_gpu: list[Tensor]) -> None:
        dtypes = {x.dtype for x in on_gpu if x.dtype.is_floating_point}
        if len(dtypes) > 1:
            raise DtypeSlipError(f"{func} of {' and '.join(sorted(map(str, dtypes)))}")
        self.products.update(dtypes)

    def _waits(self, what: str) -> None:
        if not self._counting:
            raise HiddenWaitError(what)
        self.waits.append(what)


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
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield stack.enter_context(Watch())


def moved(module: nn.Module) -> nn.Module:
    """The module with all its parameters and buffers on the GPU; nothing else of it moves."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                gradient = value.requires_grad
                part._parameters[name] = nn.Parameter(value.detach().to(GPU), gradient)
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = value.to(GPU)
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
