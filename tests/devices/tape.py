"""Gradients without autograd's engine, which asks for streams of a GPU that is not there."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import torch
from torch import Tensor

Node = Any  # of autograd's graph


def backward(loss: Tensor) -> None:
    """As `Tensor.backward` of a scalar: each node after all that lead to it, the leaves last."""
    numbers = itertools.count()  # nodes themselves cannot be compared
    given: dict[Node, list[Tensor | None]] = {loss.grad_fn: [torch.ones_like(loss)]}
    line = [(*_turn(loss.grad_fn), next(numbers), loss.grad_fn)]
    with torch.no_grad():
        while line:
            node = heapq.heappop(line)[-1]
            found = node(*given.pop(node))
            for gradient, (following, place) in zip(
                found if isinstance(found, tuple) else (found,), node.next_functions, strict=False
            ):
                if following is None or gradient is None:
                    continue
                if following not in given:
                    given[following] = [None] * len(following._input_metadata)
                    heapq.heappush(line, (*_turn(following), next(numbers), following))
                metadata = following._input_metadata[place]
                part = gradient.sum_to_size(metadata.shape).to(metadata.dtype)
                before = given[following][place]
                given[following][place] = part if before is None else before + part


def _turn(node: Node) -> tuple[bool, int]:
    """Nodes that were made later come first."""
    return node.name().endswith("AccumulateGrad"), -node._sequence_nr()
