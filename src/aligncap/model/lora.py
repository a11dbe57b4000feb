"""Low-rank adapters: put in, chosen by name (the teacher's, the student's, none), merged for fast captioning."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from aligncap.model.configuration import LoraSettings

__all__ = [
    "STUDENT",
    "TEACHER",
    "adapters_off",
    "add_lora",
    "has_adapter",
    "has_any_adapter",
    "merge_lora",
    "using_adapter",
]

STUDENT = "default"
TEACHER = "teacher"


def add_lora(model: nn.Module, settings: LoraSettings, name: str = STUDENT) -> None:
    """Put adapters into a model, in place; they begin as the identity.

    A second set, under another name, stands beside the first; the first stays the one that is used.

    Args:
        model: a language model.
        settings: rank, scale, dropout and layers.
        name: of the set.
    """
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        bias="none",
    )
    active = {id(layer): (layer, list(layer.active_adapters)) for layer in _layers(model)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # a second set is what is wanted
        inject_adapter_in_model(config, model, name)
    for layer, names in active.values():
        layer.set_adapter(names)
    if active:  # layers that only the new set adapts
        first = next(iter(active.values()))[1]
        for layer in _layers(model):
            if id(layer) not in active:
                layer.set_adapter(first)


def has_adapter(model: nn.Module, name: str) -> bool:
    """Whether the model has a set of adapters of that name."""
    return any(name in layer.lora_A for layer in _layers(model))


def has_any_adapter(model: nn.Module) -> bool:
    """Whether the model has adapters that were not merged."""
    return bool(_layers(model))


@contextmanager
def using_adapter(model: nn.Module, name: str | None) -> Iterator[None]:
    """Within the block the model answers with one set of adapters alone, or with none.

    Args:
        model: a language model.
        name: of the set; None: as if it had no adapters.
    """
    layers = _layers(model)
    before = [(layer, list(layer.active_adapters), bool(layer.disable_adapters)) for layer in layers]
    # peft's switches also say what trains: put that back as it was
    trained = [(p, p.requires_grad) for layer in layers for p in layer.parameters()]
    try:
        for layer in layers:
            layer.enable_adapters(name is not None)
            if name is not None:
                layer.set_adapter([name])
        for parameter, requires_grad in trained:
            parameter.requires_grad_(requires_grad)
        yield
    finally:
        for layer, names, disabled in before:
            layer.set_adapter(names)
            layer.enable_adapters(not disabled)
        for parameter, requires_grad in trained:
            parameter.requires_grad_(requires_grad)


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Within the block the model answers as if it had no adapters."""
    with using_adapter(model, None):
        yield


def merge_lora(model: nn.Module) -> None:
    """Add the adapters' updates into the weights and take the adapters out, in place (for inference)."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(parent, name, child.get_base_layer())


def _layers(model: nn.Module) -> list[LoraLayer]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]
