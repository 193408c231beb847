"""Which of their tensors make each of ours."""

import re
from dataclasses import dataclass

import torch

from libertas.errors import UsageError
from libertas.exchange.architectures import Architecture
from libertas.exchange.layout import JOINED, TRANSPOSED
from libertas.model.config import ModelConfig
from libertas.model.t5 import T5, T5Config
from libertas.model.transformer import Model

OUTPUTS = ("lm_head", "embed_out")
"""What the output embedding is called; it stands outside the prefix, and newer versions renamed GPT-NeoX's."""


@dataclass(frozen=True, slots=True)
class TensorMatch:
    """One of our tensors, and what it is made of."""

    shape: tuple[int, ...]
    theirs: tuple[str, ...]
    layout: str


def matches(architecture: Architecture, config: ModelConfig | T5Config) -> dict[str, TensorMatch]:
    """Our tensor -> their names, for every tensor of the model; nothing is allocated."""
    with torch.device("meta"):
        model = T5(config) if isinstance(config, T5Config) else Model(config, seed=None)
        shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    found = {}
    for name, shape in shapes.items():
        module, _, kind = name.rpartition(".")
        layer = re.search(r"\.(\d+)\.", module)
        theirs, layout = architecture.tensors[re.sub(r"\.\d+\.", ".{n}.", module, count=1)]
        names = tuple(_full(architecture, part.format(n=layer[1] if layer else ""), kind) for part in theirs)
        found[name] = TensorMatch(shape, names, layout)
    return found


def _full(architecture: Architecture, module: str, kind: str) -> str:
    return f"{'' if module in OUTPUTS else architecture.prefix}{module}.{kind}"


def their_shape(match: TensorMatch, number: int, config: ModelConfig | T5Config) -> tuple[int, ...]:
    """What the shape of one of their tensors must be."""
    if match.layout == TRANSPOSED and len(match.shape) == 2:
        return match.shape[::-1]
    if match.layout == JOINED:
        inner, each = config.heads * config.key_width, config.groups * config.key_width
        rows = [inner, each, each] if len(match.theirs) == 3 else [match.shape[0] // 2] * 2
        return (rows[number], *match.shape[1:])
    return match.shape


def spelled(wanted: str, present: set[str], architecture: Architecture, place: str) -> str:
    """How a folder spells one of their tensors: files of a model without its head have no prefix.

    Raises:
        UsageError: it is not there.
    """
    module, _, kind = wanted.rpartition(".")
    others = [f"{name}.{kind}" for name in OUTPUTS] if module in OUTPUTS else [wanted.removeprefix(architecture.prefix)]
    for name in (wanted, *others):
        if name in present:
            return name
    raise UsageError(f"{place} has no tensor {wanted}; expected all weights of {architecture.name}; copy it whole")
