"""OpenVINO on this processor: torch modules are converted once, kept on disk, and called.

Sizes stay open in a compiled network, so that one serves pictures of every size.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import logging
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from icm.compiled.store import kept, read_kept
from icm.device import KERNELS, side_by_side
from icm.errors import ConfigError

log = logging.getLogger(__name__)

PROCESSOR = "CPU"
FORMAT = 1  # of what is kept; another number, and all is converted again


class CompiledNetwork:
    """A network of tensors that OpenVINO runs; any number of threads may call it.

    Args:
        compiled: OpenVINO's compiled model.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: deque[Any] = deque()  # requests: never more than calls at a time

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the network, float32; inputs of any floating dtype, on the CPU."""
        arrays = [value.float().contiguous().numpy() for value in inputs]
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            request.infer(arrays, share_inputs=True)
            # Copies: the request's own memory is written to by its next call.
            return tuple(torch.from_numpy(each.data.copy()) for each in request.output_tensors)
        finally:
            self._idle.append(request)

    def property(self, name: str) -> Any:
        """What OpenVINO says of how it runs the network."""
        return self._compiled.get_property(name)


class Runtime:
    """Compiles networks for one precision and for as many threads as torch has now.

    As many calls may be at work as torch's models compute pictures side by side.

    Args:
        dtype: bfloat16 where products may be computed in it; anything else means float32.

    Raises:
        ConfigError: OpenVINO is not installed.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        try:
            import openvino  # noqa: PLC0415 - optional
        except ImportError as error:
            raise ConfigError(
                "engine 'openvino' needs the package openvino: run `pip install "
                "'in-context-matting[openvino]'` (from a checkout: `pip install '.[openvino]'`), "
                "or choose --set engine=torch"
            ) from error
        self._core = _core()
        capabilities = self._core.get_property(PROCESSOR, "OPTIMIZATION_CAPABILITIES")
        each, calls = side_by_side(KERNELS.threads())
        fast = dtype == torch.bfloat16 and "BF16" in capabilities
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if fast else "f32",
            "INFERENCE_NUM_THREADS": each * calls,
            "NUM_STREAMS": calls,
            "ENABLE_CPU_PINNING": False,  # processes side by side would share one core
        }
        self._surroundings = {
            "format": FORMAT,
            "openvino": openvino.__version__,
            "torch": torch.__version__,
            "processor": self._core.get_property(PROCESSOR, "FULL_DEVICE_NAME"),
            "capabilities": capabilities,
            "options": self._options,
        }

    def compile(self, module: nn.Module, name: str, example: Sequence[Tensor]) -> CompiledNetwork:
        """The compiled network of a module: as it was kept, or converted now and kept.

        Args:
            module: in evaluation mode, on the CPU, float32; takes tensors and gives one or
                several. Its sizes must be multiples of its strides.
            name: of the file in which it is kept.
            example: inputs of a plausible size.
        """
        place = f"{name}-{key_of(module, self._surroundings)}"
        blob = read_kept(place)
        if blob is not None:
            try:
                compiled = self._core.import_model(io.BytesIO(blob), PROCESSOR, self._options)
                return CompiledNetwork(compiled)
            except RuntimeError as error:
                reason = str(error).strip().rpartition("\n")[-1]
                log.warning("the kept %s cannot be used and is converted again: %s", name, reason)
        log.info("converting %s for OpenVINO (once)", name)
        compiled = self._core.compile_model(_converted(module, example), PROCESSOR, self._options)
        kept(place, compiled.export_model().getvalue())
        return CompiledNetwork(compiled)


@cache
def _core() -> Any:
    """OpenVINO's core, one for as long as the process lives.

    The plugin of a core replaces the alternate signal stack of the thread that loads it, and frees
    it with the core, whichever thread that happens on: the next signal then ends the process where
    Python's handlers look for that stack (2026.4, the plugin of the CPU). So it is loaded on a
    thread that ends at once, and kept.
    """
    import openvino  # noqa: PLC0415 - optional

    def load() -> Any:
        core = openvino.Core()
        core.get_property(PROCESSOR, "FULL_DEVICE_NAME")
        return core

    with ThreadPoolExecutor(1, thread_name_prefix="icm-openvino") as thread:
        return thread.submit(load).result()


def key_of(module: nn.Module, surroundings: Mapping[str, Any]) -> str:
    """Hash of all that a compiled network depends on: weights, architecture, code, surroundings."""
    digest = hashlib.sha256(json.dumps(surroundings, sort_keys=True).encode())
    digest.update(repr(module).encode())
    types = {type(part) for part in module.modules()}
    ours = {inspect.getfile(each) for each in types if each.__module__.startswith("icm.")}
    for file in sorted(ours):
        digest.update(Path(file).read_bytes())
    for name, value in module.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().numpy())
    return digest.hexdigest()[:32]


@torch.no_grad()
def _converted(module: nn.Module, example: Sequence[Tensor]) -> Any:
    """OpenVINO's model of a module.

    By the front end itself: `openvino.convert_model` sends usage statistics wherever the package
    openvino-telemetry is installed.
    """
    from openvino.frontend import FrontEndManager  # noqa: PLC0415 - optional
    from openvino.frontend.pytorch.ts_decoder import (  # noqa: PLC0415 - optional
        TorchScriptPythonDecoder,
    )

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        # Of tracing, which is what OpenVINO reads, and of paddings and counts that it takes for
        # constants: they are the same at all sizes.
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(module, example_input=tuple(example))
    return frontend.convert(frontend.load(decoder))
