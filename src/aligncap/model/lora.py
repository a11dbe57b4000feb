"""Low-rank adapters: put in, switched off for the teacher, merged for fast captioning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from aligncap.model.configuration import LoraSettings

__all__ = ["adapters_off", "add_lora", "merge_lora"]


def add_lora(model: nn.Module, settings: LoraSettings) -> None:
    """Put adapters into a model, in place; they begin as the identity."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        bias="none",
    )
    inject_adapter_in_model(config, model)


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Within the block the model answers as if it had no adapters: the teacher."""
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    on = [layer for layer in layers if not layer.disable_adapters]
    # peft's switch also says what trains: put that back as it was
    trained = [(p, p.requires_grad) for layer in on for p in layer.parameters()]

    def switch(enabled: bool) -> None:
        for layer in on:
            layer.enable_adapters(enabled)
        for parameter, requires_grad in trained:
            parameter.requires_grad_(requires_grad)

    switch(False)
    try:
        yield
    finally:
        switch(True)


def merge_lora(model: nn.Module) -> None:
    """Add the adapters' updates into the weights and take the adapters out, in place (for inference)."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(parent, name, child.get_base_layer())
