"""`.bin` and `.idx` files of tokens, as Megatron-LM's and GPT-NeoX's `MMapIndexedDataset` have them.

The `.bin` is nothing but tokens. The `.idx` is, all little-endian: `MMIDIDX`, two zero bytes, version (u64, 1), code of
the dtype (u8), number of sequences n (u64), number of document bounds m (u64), then the tokens of each sequence (n
times i32), where each begins in the `.bin` in bytes (n times i64), and the sequence that each document begins with, n
last (m times i64). A document may have several sequences, such as sentences.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.errors import UsageError

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEAD = struct.Struct("<9sQBQQ")
CODES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
"""dtypes by their code; 6 and 7 are floating point, which no tokens are."""
CODE_OF = {np.dtype(dtype): code for code, dtype in CODES.items()}
LONGEST = 2**31 - 1
"""Tokens that a sequence can have."""
AT_ONCE = 1 << 20
"""Sequences that are looked at together."""


@dataclass(frozen=True)
class IndexedFile:
    """A pair of files that was found sound."""

    index: Path
    dtype: np.dtype[Any]
    sizes: NDArray[np.int32]
    """Tokens of each sequence."""
    bounds: NDArray[np.int64]
    """First token of each document, and the number of tokens as the last entry."""

    @property
    def tokens(self) -> NDArray[np.integer]:
        """All tokens, mapped."""
        return _mapped(self.index.with_suffix(".bin"), self.dtype, 0, int(self.bounds[-1]))

    @property
    def documents(self) -> int:
        """How many it has."""
        return len(self.bounds) - 1


def _mapped(path: Path, dtype: np.dtype[Any], offset: int, length: int) -> NDArray[Any]:
    """A stretch of a file as an array; no file can be mapped where it is empty."""
    return np.memmap(path, dtype, "r", offset, (length,)) if length else np.zeros(0, dtype)


def read_indexed(index: Path) -> IndexedFile:
    """Read an `.idx` file and see that it and the `.bin` beside it are whole and agree.

    Raises:
        UsageError: they are not, or hold no tokens; says which number is wrong.
    """
    tokens = index.with_suffix(".bin")
    for path in (index, tokens):
        if not path.is_file():
            raise UsageError(f"{path} does not exist; expected an .idx file and a .bin file of the same name beside it")
    with index.open("rb") as file:
        head = file.read(HEAD.size)
    if len(head) < HEAD.size or not head.startswith(MAGIC):
        raise UsageError(f"{index} does not begin with MMIDIDX; expected an .idx file of GPT-NeoX or Megatron-LM")
    _, version, code, sequences, bounds = HEAD.unpack(head)
    if version != VERSION:
        raise UsageError(f"{index} is of version {version}; expected {VERSION}")
    if code not in CODES:
        raise UsageError(f"{index} has dtype code {code}; expected whole numbers, one of {', '.join(map(str, CODES))}")
    length, wanted = index.stat().st_size, HEAD.size + 12 * sequences + 8 * bounds
    if length != wanted:
        raise UsageError(f"{index} has {length:,} bytes, expected {wanted:,} by its head; copy it again")
    starts = HEAD.size + 4 * sequences
    sizes = _mapped(index, np.dtype("<i4"), HEAD.size, sequences)
    pointers = _mapped(index, np.dtype("<i8"), starts, sequences)
    firsts = _mapped(index, np.dtype("<i8"), starts + 8 * sequences, bounds)
    dtype = np.dtype(CODES[code])
    ends = _ends(index, sizes, pointers, dtype.itemsize)
    present = tokens.stat().st_size
    if present != ends[-1] * dtype.itemsize:
        raise UsageError(
            f"{tokens} has {present:,} bytes, expected {ends[-1] * dtype.itemsize:,} by {index.name}; copy it again"
        )
    if not bounds or firsts[0] != 0 or firsts[-1] != sequences or (np.diff(firsts) < 0).any():
        raise UsageError(
            f"{index} has document bounds that do not lead from 0 to {sequences}, its sequences; it is damaged"
        )
    return IndexedFile(index, dtype, sizes, ends[firsts])


def _ends(index: Path, sizes: NDArray[np.int32], pointers: NDArray[np.int64], itemsize: int) -> NDArray[np.int64]:
    """Where each sequence begins, in tokens, and the last ends; the pointers must say the same in bytes."""
    ends = np.zeros(len(sizes) + 1, dtype=np.int64)
    for first in range(0, len(sizes), AT_ONCE):
        here = slice(first, first + AT_ONCE)
        if (sizes[here] < 0).any():
            raise UsageError(f"{index} has a sequence of a negative number of tokens; it is damaged")
        ends[first + 1 : first + 1 + AT_ONCE] = ends[first] + np.cumsum(sizes[here], dtype=np.int64)
        wrong = np.flatnonzero(pointers[here] != ends[:-1][here] * itemsize)
        if len(wrong):
            number = first + int(wrong[0])
            raise UsageError(
                f"{index} says that sequence {number:,} begins at byte {pointers[number]:,}, expected "
                f"{ends[number] * itemsize:,} by the sizes before it; it is damaged"
            )
    return ends


def write_index_of(index: Path, dtype: np.dtype[Any], offsets: NDArray[np.integer]) -> None:
    """Write the `.idx` for a `.bin` whose documents begin at `offsets`, in tokens, the number of tokens being the last.

    Raises:
        UsageError: a document has more tokens than a sequence can have.
    """
    documents = len(offsets) - 1
    with index.open("wb") as file:
        file.write(HEAD.pack(MAGIC, VERSION, CODE_OF[dtype], documents, documents + 1))
        for first in range(0, documents, AT_ONCE):
            sizes = np.diff(offsets[first : first + AT_ONCE + 1].astype(np.int64))
            if (sizes > LONGEST).any():
                raise UsageError(
                    f"a document has {sizes.max():,} tokens; expected {LONGEST:,} or fewer in an .idx file"
                )
            file.write(sizes.astype("<i4").data)
        for first in range(0, documents, AT_ONCE):
            here = offsets[first : min(first + AT_ONCE, documents)].astype("<i8")
            file.write((here * dtype.itemsize).data)
        for first in range(0, documents + 1, AT_ONCE):
            file.write(np.arange(first, min(first + AT_ONCE, documents + 1), dtype="<i8").data)
