"""GPT-NeoX's checkpoints: a file for each layer and tensor-parallel part, and the rules by which parts become a model.

`layer_00-model_00-model_states.pt` is part 0 of the embedding; blocks are layers 2 to L + 1, the final norm is L + 3
and the output embedding L + 4 (layers 1 and L + 2 of the pipeline have no weights). The files are pickles: they are
read by torch's restricted loader, which builds tensors and nothing else.

Matrices that were cut by columns of the network (queries, keys, values, the first feed-forward matrix, embeddings) lie
one below the other; those that were cut by rows lie side by side. Every part adds its own bias behind a row-cut matrix,
so these biases are summed; where the residual is sequential that is wrong, since the norm between them reads one part's
sum, and such models are refused. Norms were meant to be equal and are not: each part trained its own, and their mean is
an approximation, which is measured.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from libertas.errors import UsageError
from libertas.exchange.architectures import GPT_NEOX
from libertas.exchange.names import matches, their_shape
from libertas.model.config import ModelConfig
from libertas.model.cost import parameters
from libertas.tensor_files import DTYPE_NAMES, TensorFact

COLUMN, ROW, ROW_BIAS, COPY = "column", "row", "row bias", "copy"
"""How a tensor is cut: along its first dimension, along its second, into equal summands, not at all."""
VOCABULARY_MULTIPLE = 128
"""Rows of the vocabulary in each part are a multiple of this (`make_vocab_size_divisible_by`)."""
FILE = re.compile(r"layer_(\d+)-model_(\d+)-model_states\.pt")

LAYOUTS = {
    "word_embeddings.weight": COLUMN,
    "final_linear.weight": COLUMN,
    "attention.query_key_value.weight": COLUMN,
    "attention.query_key_value.bias": COLUMN,
    "mlp.dense_h_to_4h.weight": COLUMN,
    "mlp.dense_h_to_4h.bias": COLUMN,
    "attention.dense.weight": ROW,
    "mlp.dense_4h_to_h.weight": ROW,
    "attention.dense.bias": ROW_BIAS,
    "mlp.dense_4h_to_h.bias": ROW_BIAS,
}
"""By the name in GPT-NeoX's files; norms are copied."""
WITHOUT_WEIGHTS = ("rotary_emb.inv_freq", "attention.masked_bias", "attention.bias")

WITH_PADDING = ("word_embeddings.weight", "final_linear.weight")
"""Tensors with a row for each token, and more rows so that parts are equal."""

Part = dict[str, Tensor]
"""Name in one layer's file -> tensor."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one of Hugging Face's tensors stands in GPT-NeoX's files."""

    layer: int
    name: str

    @property
    def layout(self) -> str:
        """How it is cut."""
        return LAYOUTS.get(self.name, COPY)


def places(config: ModelConfig) -> dict[str, Place]:
    """Hugging Face's name -> layer and name in GPT-NeoX's files, for every tensor of the model."""
    last = config.layers
    outside = {
        "gpt_neox.embed_in.weight": Place(0, "word_embeddings.weight"),
        "gpt_neox.final_layer_norm.weight": Place(last + 3, "norm.weight"),
        "gpt_neox.final_layer_norm.bias": Place(last + 3, "norm.bias"),
        "embed_out.weight": Place(last + 4, "final_linear.weight"),
    }
    found = {}
    for match in matches(GPT_NEOX, config).values():
        for name in match.theirs:
            inside = re.fullmatch(r"gpt_neox\.layers\.(\d+)\.(.*)", name)
            found[name] = Place(int(inside[1]) + 2, inside[2]) if inside else outside[name]
    return found


def merged_tensor(layout: str, parts: list[Tensor]) -> tuple[Tensor, float]:
    """One tensor from its parts, and by how much at most the parts of a copied one differ."""
    if layout == COLUMN:
        return torch.cat(parts, dim=0), 0.0
    if layout == ROW:
        return torch.cat(parts, dim=1), 0.0
    stacked = torch.stack(parts)
    if layout == ROW_BIAS:
        return stacked.double().sum(dim=0).to(stacked.dtype), 0.0
    apart = float((stacked - stacked[:1]).abs().max())
    return (parts[0] if apart == 0.0 else stacked.mean(dim=0)), apart


def split_tensor(layout: str, tensor: Tensor, parts: int) -> list[Tensor]:
    """The inverse of `merged_tensor`; dividing a bias by a power of two loses no bit."""
    if layout == COPY:
        return [tensor] * parts
    if layout == ROW_BIAS:
        return [tensor / parts] * parts
    return list(tensor.chunk(parts, dim=0 if layout == COLUMN else 1))


def padded_vocabulary(vocabulary: int, parts: int) -> int:
    """Rows of the vocabulary that as many parts need."""
    multiple = VOCABULARY_MULTIPLE * parts
    return -(-vocabulary // multiple) * multiple


def unmerged_count(config: ModelConfig, parts: int) -> int:
    """Numbers in all files together: norms and row biases stand in every part."""
    padded = replace(config, vocabulary=padded_vocabulary(config.vocabulary, parts))
    wanted = matches(GPT_NEOX, padded)
    total = sum(parameters(padded).values())
    where = places(padded)
    for match in wanted.values():
        for number, name in enumerate(match.theirs):
            if where[name].layout in (COPY, ROW_BIAS):
                total += (parts - 1) * torch.Size(their_shape(match, number, padded)).numel()
    return total


def read_parts(folder: Path) -> tuple[list[int], list[int]]:
    """Numbers of the layers and of the parts that a folder has files of.

    Raises:
        UsageError: a file is missing, or there is none.
    """
    found = {(int(m[1]), int(m[2])) for p in folder.iterdir() if (m := FILE.fullmatch(p.name))}
    if not found:
        raise UsageError(f"{folder} has no layer_00-model_00-model_states.pt; expected GPT-NeoX's files of one step")
    layers, parts = sorted({layer for layer, _ in found}), sorted({part for _, part in found})
    for layer in layers:
        for part in parts:
            if (layer, part) not in found:
                raise UsageError(f"{folder} lacks {file_name(layer, part)}; expected every layer in {len(parts)} parts")
    return layers, parts


def file_name(layer: int, part: int) -> str:
    """As DeepSpeed's pipeline writes it."""
    return f"layer_{layer:02}-model_{part:02}-model_states.pt"


def read_file(path: Path) -> Part:
    """One file's tensors; nothing but tensors is built from the pickle.

    Raises:
        UsageError: it is damaged, or holds something else.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle may fail in any way
        reason = " ".join(str(error).split())[:120]
        raise UsageError(f"{path} cannot be read as tensors alone ({reason}); copy it again") from error
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UsageError(f"{path} holds something other than tensors by name; expected a layer of GPT-NeoX")
    return {k: v for k, v in content.items() if not k.endswith(WITHOUT_WEIGHTS)}


class NeoxParts:
    """The weights in a folder of GPT-NeoX's files, under Hugging Face's names, a layer in memory at a time."""

    def __init__(self, folder: Path, config: ModelConfig) -> None:
        """See which files there are.

        Raises:
            UsageError: a file is missing, or the residual is sequential and there are several parts.
        """
        self.folder, self.config = folder, config
        _, self.parts = read_parts(folder)
        if len(self.parts) > 1 and config.residual != "parallel":
            raise UsageError(
                f"{folder} has {len(self.parts)} parts of a model with sequential residual, whose biases cannot be "
                "merged exactly; expected one part, or parallel residual"
            )
        self.where = places(config)
        self.apart: dict[str, float] = {}
        """Copied tensors whose parts differ -> by how much at most; such a tensor is their mean."""
        layers = sorted({place.layer for place in self.where.values()})
        self.files = [_existing(folder / file_name(layer, part)) for layer in layers for part in self.parts]
        self._layer, self._tensors = -1, dict[str, Tensor]()

    def __enter__(self) -> "NeoxParts":
        """Nothing to open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget the last layer."""
        self._layer, self._tensors = -1, {}

    def names(self) -> list[str]:
        """Of all tensors, sorted."""
        return sorted(self.where)

    def fact(self, name: str) -> TensorFact:
        """Shape and kind of numbers."""
        tensor = self.read(name)
        return TensorFact(DTYPE_NAMES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))

    def read(self, name: str) -> Tensor:
        """One tensor.

        Raises:
            UsageError: a file cannot be read, lacks a tensor, or has one too many.
        """
        layer = self.where[name].layer
        if layer != self._layer:
            self._layer, self._tensors = layer, self._merged(layer)
        return self._tensors[name]

    def _merged(self, layer: int) -> dict[str, Tensor]:
        paths = [self.folder / file_name(layer, part) for part in self.parts]
        files = [read_file(path) for path in paths]
        names = {place.name: name for name, place in self.where.items() if place.layer == layer}
        found = {}
        for path, content in zip(paths, files, strict=True):
            if set(content) != set(names):
                wrong = sorted(set(content) ^ set(names))[0]
                what = "lacks the tensor" if wrong in names else "has, beyond what GPT-NeoX has, the tensor"
                raise UsageError(f"{path} {what} {wrong}; copy it again, or name the size of the model with --like")
        for inside, name in names.items():
            tensor, apart = merged_tensor(self.where[name].layout, [content[inside] for content in files])
            if apart:
                self.apart[name] = apart
            found[name] = tensor[: self.config.vocabulary] if inside in WITH_PADDING else tensor
        return found


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"{path} does not exist; expected it for a model of this size; name another size or folder")
    return path


def write_parts(weights: Mapping[str, Tensor], config: ModelConfig, folder: Path, parts: int) -> None:
    """Write a model as so many tensor-parallel parts; missing rows of the vocabulary are zeros.

    Raises:
        UsageError: the heads cannot be shared out evenly.
    """
    if config.heads % parts or config.hidden_width % parts:
        raise UsageError(f"parts is {parts}, which {config.heads} heads do not share; expected a divisor, such as 2")
    rows = padded_vocabulary(config.vocabulary, parts)
    layers: dict[tuple[int, int], Part] = {}
    for name, place in places(config).items():
        tensor = weights[name]
        if place.name in WITH_PADDING:
            tensor = torch.nn.functional.pad(tensor, (0, 0, 0, rows - len(tensor)))
        for part, piece in enumerate(split_tensor(place.layout, tensor, parts)):
            layers.setdefault((place.layer, part), {})[place.name] = piece.clone()
    for (layer, part), content in sorted(layers.items()):
        torch.save(content, folder / file_name(layer, part))
