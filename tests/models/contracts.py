"""What every module of the network keeps: gradients, bf16, compilation, inputs left as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch statistics and affine parameters that are not the identity, so that they matter."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if name.endswith("num_batches_tracked") or not tensor.is_floating_point():
            continue
        drawn = torch.rand(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.data = 0.5 + drawn
        elif tensor.ndim == 1:
            tensor.data = tensor.data + 0.4 * drawn - 0.2
    return module


def every_parameter_gets_a_gradient(module: nn.Module, forward: Callable[[], Tensor]) -> None:
    module.train()
    output = forward()
    generator = torch.Generator().manual_seed(1)
    (output * torch.randn(output.shape, generator=generator)).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
        assert parameter.grad.abs().sum() > 0, f"the gradient of {name} is zero"


@torch.no_grad()
def compiles(module: nn.Module, forward: Callable[[nn.Module], Tensor]) -> None:
    """One graph without breaks, and the same numbers."""
    module.eval()
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert torch.allclose(forward(compiled), forward(module), atol=1e-5)
    torch.compiler.reset()


def untouched(tensors: Sequence[Tensor], forward: Callable[[], object]) -> None:
    before = [tensor.clone() for tensor in tensors]
    forward()
    for tensor, copy in zip(tensors, before, strict=True):
        assert torch.equal(tensor, copy), "an input was written to"
