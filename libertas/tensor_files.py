"""Safetensors, a tensor at a time: many large ones pass through without all lying in memory.

The format is a length in 8 bytes, a JSON header of that length, and the tensors' bytes
(https://huggingface.co/docs/safetensors).
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from libertas.errors import UsageError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
SUFFIX = ".safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""The numbers that weights are made of, by the names that safetensors has for them."""
ALL_DTYPES = {**DTYPES, "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}
"""What a training keeps beside weights may also count."""
DTYPE_NAMES = {dtype: name for name, dtype in ALL_DTYPES.items()}


@dataclass(frozen=True, slots=True)
class TensorFact:
    """What a header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many it has."""
        return math.prod(self.shape)

    @property
    def width(self) -> int:
        """Bytes of one of them."""
        return ALL_DTYPES[self.dtype].itemsize

    @property
    def bytes(self) -> int:
        """Of all of them."""
        return self.numbers * self.width

    @staticmethod
    def of(tensor: Tensor) -> "TensorFact":
        """What a header will say of a tensor."""
        return TensorFact(DTYPE_NAMES[tensor.dtype], tuple(tensor.shape))


class TensorFiles:
    """The safetensors of a folder, in one file or in several with an index; use it in a `with` block."""

    def __init__(self, folder: Path, stem: str = "") -> None:
        """Find the files, all of them or those of one `stem`; nothing is read yet.

        Raises:
            UsageError: there are none, or only pickles.
        """
        self.folder = folder
        index = folder / (f"{stem}{SUFFIX}.index.json" if stem else INDEX)
        if index.exists():
            try:
                names = sorted(set(orjson.loads(index.read_bytes())["weight_map"].values()))
                if any(Path(name).name != name for name in names):
                    raise ValueError("it names files of other folders")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UsageError(f"{index} is no index of safetensors ({error}); copy it again") from error
            self.files = [folder / name for name in names]
        else:
            self.files = sorted(folder.glob(f"{stem}{SUFFIX}" if stem else f"*{SUFFIX}"))
        if not self.files:
            pickle = next((p for pattern in PICKLES for p in folder.glob(pattern)), None)
            why = f"{pickle.name} is a pickle, which may run any program when it is read; " if pickle else ""
            raise UsageError(f"{folder} has no .safetensors; {why}expected the model saved as safetensors")
        self._stack = ExitStack()
        self._of: dict[str, Any] = {}

    def __enter__(self) -> "TensorFiles":
        """Open all files.

        Raises:
            UsageError: one is absent, cut, or no safetensors; or two hold the same tensor.
        """
        for path in self.files:
            try:
                opened: Any = self._stack.enter_context(safe_open(path, framework="pt"))
            except (SafetensorError, OSError) as error:
                raise UsageError(f"{path} cannot be read as safetensors ({error}); copy it again") from error
            for name in opened.keys():  # noqa: SIM118  # it is no dict
                if name in self._of:
                    raise UsageError(f"{path} holds the tensor {name}, which another file of {self.folder} has as well")
                self._of[name] = opened
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self._stack.close()

    def names(self) -> list[str]:
        """Of all tensors, sorted."""
        return sorted(self._of)

    def fact(self, name: str) -> TensorFact:
        """Shape and kind of numbers, without reading them."""
        part = self._of[name].get_slice(name)
        return TensorFact(str(part.get_dtype()), tuple(part.get_shape()))

    def read(self, name: str) -> Tensor:
        """One tensor."""
        tensor: Tensor = self._of[name].get_tensor(name)
        return tensor


def write_tensors(
    path: Path, facts: Mapping[str, TensorFact], make: Callable[[str], Tensor], finite: bool = True
) -> None:
    """Write a file of tensors, each made when its turn comes; the bytes are those that `safetensors` itself writes.

    Raises:
        UsageError: a tensor is not what was announced, or, where they must be finite, holds a number that is none.
    """
    order = sorted(facts, key=lambda name: (-facts[name].width, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name in order:
        end = start + facts[name].bytes
        header[name] = {"dtype": facts[name].dtype, "shape": list(facts[name].shape), "data_offsets": [start, end]}
        start = end
    text = orjson.dumps(header)
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            tensor = make(name).contiguous()
            if tuple(tensor.shape) != facts[name].shape or DTYPE_NAMES[tensor.dtype] != facts[name].dtype:
                raise UsageError(f"{name} is {tuple(tensor.shape)} of {tensor.dtype}; expected {facts[name]}")
            if finite and not bool(torch.isfinite(tensor).all()):
                raise UsageError(
                    f"{name} holds NaN or infinity; expected numbers; the weights are of no use as they are"
                )
            file.write(tensor.flatten().view(torch.uint8).numpy().data)
        file.flush()
        os.fsync(file.fileno())


def sharded(facts: Mapping[str, TensorFact], at_most: int) -> Iterator[dict[str, TensorFact]]:
    """Tensors in the order of their names, by as many bytes as a file may have; a larger one is a file of its own."""
    group: dict[str, TensorFact] = {}
    size = 0
    for name in sorted(facts):
        if group and size + facts[name].bytes > at_most:
            yield group
            group, size = {}, 0
        group[name] = facts[name]
        size += facts[name].bytes
    if group:
        yield group


def tensor_file_name(stem: str, number: int, of: int) -> str:
    """Name of one file, as `transformers` names it: counted from 1; a single one has no number."""
    return f"{stem}{SUFFIX}" if of == 1 else f"{stem}-{number:05}-of-{of:05}{SUFFIX}"


def tensor_file_index(stem: str, groups: Sequence[Mapping[str, TensorFact]]) -> dict[str, Any]:
    """Which file holds which tensor, as `transformers` writes it."""
    places = {t: tensor_file_name(stem, n, len(groups)) for n, group in enumerate(groups, start=1) for t in group}
    return {"metadata": {"total_size": sum(f.bytes for g in groups for f in g.values())}, "weight_map": places}
