"""Scores kept between evaluations, by what they are scores of: weights, tokenizer, arithmetic, code, and tokens.

What was asked for never counts (tasks, protocols, shots), so that whatever leads to the same tokens is read instead of
computed: another normalization, one more task, a run that was killed. A folder has a file for all that is the same for
every request, to which entries are appended:

    LSc1 | key, 16 bytes | scored tokens, uint32 | likeliest, 1 byte | log-probabilities, float64 | check, 8 bytes

in little-endian order; the key is a BLAKE3 of the tokens and how many are scored, the check one of all that stands
before it. What does not agree with its check is as if it were absent, and reading goes on at the next entry: neither
a killed writer nor a changed byte spoils more than the entry it hit. Files can be removed at any time.
"""

import fcntl
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from blake3 import blake3
from numpy.typing import NDArray

from libertas.lineage.fingerprint import canonical, code_digest, digest
from libertas.model.transformer import Model
from libertas.terminal import say

MARK = b"LSc1"
"""Begins every entry; the number is that of the form."""
HEAD = struct.Struct("<4s16sIB")
CHECK_BYTES = 8
MOST_SCORED = 1 << 20
"""More scored tokens than any request has: a head that says more is damaged."""
READ_BYTES = 1 << 22
SCORING = "libertas.evaluate.score"
"""The module whose source, with all that it imports, decides a score."""

Entry = tuple[NDArray[np.float64], bool]
"""Log-probabilities of the scored tokens, and whether each was the likeliest."""


class ScoreCache:
    """The scores of one model under one tokenizer, one arithmetic and one version of the code."""

    def __init__(self, folder: Path, *, weights: str, tokenizer: str, model: Model) -> None:
        """Open a folder of such files; it is made when there is something to write.

        Args:
            folder: of the files.
            weights: hash of the model's weights.
            tokenizer: hash of its tokenizer.
            model: tells the precision.
        """
        same = {
            "weights": weights,
            "tokenizer": tokenizer,
            "precision": str(model.embedding.weight.dtype),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "processor": torch.backends.cpu.get_cpu_capability(),
            "code": code_digest(SCORING),
        }
        self.path = folder / f"{digest(canonical(same)).rpartition(':')[2][:32]}.scores"

    def read(self, keys: Collection[bytes]) -> dict[bytes, Entry]:
        """The entries with these keys that are there; the rest of the file passes by, and takes no memory."""
        wanted, found, damaged = set(keys), dict[bytes, Entry](), 0
        if self.path.exists():
            for entry in _entries(self.path, wanted):
                if entry is None:
                    damaged += 1
                else:
                    found.setdefault(entry[0], entry[1])
        if damaged:
            say(f"{self.path}: {damaged} damaged or torn places; what they held is computed again")
        return found

    def write(self, entries: Iterable[tuple[bytes, Entry]]) -> None:
        """Append entries, all at once, whatever other processes append."""
        data = b"".join(_packed_entry(key, *entry) for key, entry in entries)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(data)


def request_key(tokens: Sequence[int], scored: int) -> bytes:
    """Key of a request: tokens, of which the last `scored` are predicted."""
    return blake3(np.array([scored, *tokens], dtype="<i8").tobytes()).digest(length=16)


_KEPT: "WeakKeyDictionary[Model, ScoreCache]" = WeakKeyDictionary()


def keep_scores(model: Model, cache: ScoreCache) -> None:
    """From now on, all scores of this model (this object) are looked up in a cache, and added to it."""
    _KEPT[model] = cache


def kept_scores(model: Model) -> ScoreCache | None:
    """Where the scores of a model are kept, if anywhere."""
    return _KEPT.get(model)


def _packed_entry(key: bytes, values: NDArray[np.float64], likeliest: bool) -> bytes:
    body = HEAD.pack(MARK, key, len(values), likeliest) + values.astype("<f8").tobytes()
    return body + blake3(body).digest(length=CHECK_BYTES)


def _entries(path: Path, wanted: Collection[bytes]) -> Iterator[tuple[bytes, Entry] | None]:
    """The wanted entries of a file, and None for each place that is damaged, or was torn by a killed writer."""
    with path.open("rb") as file:
        data, at, more = b"", 0, True
        while more or at < len(data):
            if more and len(data) - at < HEAD.size + 8 * MOST_SCORED + CHECK_BYTES:
                block = file.read(READ_BYTES)
                data, at, more = data[at:] + block, 0, bool(block)
                continue
            stop, entry = _entry_at(data, at, wanted)
            if stop == at:  # no entry begins here: go on at the next one
                following = data.find(MARK, at + 1)
                at = following if following >= 0 else len(data) - (len(MARK) - 1 if more else 0)
                if following >= 0 or not more:
                    yield None
                continue
            at = stop
            if entry is not None:
                yield entry


def _entry_at(data: bytes, at: int, wanted: Collection[bytes]) -> tuple[int, tuple[bytes, Entry] | None]:
    """Where the entry at a place ends, and what it says if it is wanted; `at` itself if none begins there."""
    if len(data) - at < HEAD.size:
        return at, None
    mark, key, count, likeliest = HEAD.unpack_from(data, at)
    body = at + HEAD.size + 8 * count
    stop = body + CHECK_BYTES
    if mark != MARK or count > MOST_SCORED or stop > len(data):
        return at, None
    if key not in wanted:
        return stop, None
    if blake3(data[at:body]).digest(length=CHECK_BYTES) != data[body:stop]:
        return at, None
    return stop, (key, (np.frombuffer(data, "<f8", count, at + HEAD.size).astype(np.float64), bool(likeliest)))
