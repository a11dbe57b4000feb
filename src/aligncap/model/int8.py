"""Linear layers in 8-bit integers: about twice as fast as float32 on CPUs with integer dot products, at 1 % error.

Weights are scaled for each output, inputs for each row, both to -127 … 127 (dynamic symmetric quantisation, as in
Zafrir et al. 2019, by row). The products are sums of integers, hence exact: a row's result does not depend on the
other rows of its batch. But rounding to 8 bits magnifies whatever else does: float32 attention differs in the last bit
from one batch to the next, and so does the speech encoder, and four captions in five would be worded differently alone
and in a batch. `LlamaDecoder` therefore computes attention in float64, and the model hears clips one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Int8Linear", "has_integer_dot_products", "is_quantised", "quantise"]

_ROWS = 4096


class Int8Linear(nn.Module):
    """y = x Wᵀ + b with W and x in 8 bits; for inference.

    Args:
        weight: (outputs, inputs) int8.
        scale: (outputs,) float32: W is ``weight * scale[:, None]``.
        bias: (outputs,), or None.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, layer: nn.Linear) -> Int8Linear:
        """Quantise a layer."""
        weight = layer.weight.detach().float()
        scale = torch.maximum(weight.amax(1), -weight.amin(1)).clamp(min=1e-12) / 127
        bias = None if layer.bias is None else layer.bias.detach().float()
        quantised = torch.empty_like(weight, dtype=torch.int8)
        # by rows: a vocabulary's copies in float32 are what would take the most memory of all loading
        for rows, steps, out in zip(*(tensor.split(_ROWS) for tensor in (weight, scale, quantised)), strict=True):
            out.copy_((rows / steps[:, None]).round_())
        return cls(quantised, scale, bias)

    @classmethod
    def joined(cls, layers: Sequence[Int8Linear]) -> Int8Linear:
        """Layers with one input side by side; none may have a bias."""
        return cls(torch.cat([layer.weight for layer in layers]), torch.cat([layer.scale for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) → (…, outputs), in float32."""
        rows = x.reshape(-1, self.in_features)
        step = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        products = torch._int_mm((rows / step).round_().to(torch.int8), self.weight.t())
        out = products.float().mul_(self.scale).mul_(step)
        if self.bias is not None:
            out += self.bias
        return out.view(*x.shape[:-1], self.out_features)


def quantise(model: nn.Module) -> None:
    """Put `Int8Linear` in the place of every linear layer of a model, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, Int8Linear.of(child))


def is_quantised(model: nn.Module) -> bool:
    """Whether any of a model's layers is in 8 bits."""
    return any(isinstance(module, Int8Linear) for module in model.modules())


def has_integer_dot_products() -> bool:
    """Whether this CPU is known to multiply 8-bit integers faster than floats, and exactly (VNNI)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_vnni") or capabilities.get("avx_vnni"))
