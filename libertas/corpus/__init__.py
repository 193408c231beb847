"""The corpus on disk; everything public in it can be imported from here, and is loaded when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # also what the hash of a stage's code follows
    from libertas.corpus.index import SORTED_AT_ONCE, save_array, write_index
    from libertas.corpus.shard import (
        FRAME_BYTES,
        PIECE_BYTES,
        ROW,
        Piece,
        ShardWriter,
        document_of_shard,
        read_shard,
        shard_name,
        shard_pieces,
    )
    from libertas.corpus.store import SHARD_BYTES, Corpus, CorpusWriter

_HOME = {
    "index": ("SORTED_AT_ONCE", "save_array", "write_index"),
    "shard": (
        "FRAME_BYTES",
        "PIECE_BYTES",
        "ROW",
        "Piece",
        "ShardWriter",
        "document_of_shard",
        "read_shard",
        "shard_name",
        "shard_pieces",
    ),
    "store": ("SHARD_BYTES", "Corpus", "CorpusWriter"),
}

__all__ = [
    "FRAME_BYTES",
    "PIECE_BYTES",
    "ROW",
    "SHARD_BYTES",
    "SORTED_AT_ONCE",
    "Corpus",
    "CorpusWriter",
    "Piece",
    "ShardWriter",
    "document_of_shard",
    "read_shard",
    "save_array",
    "shard_name",
    "shard_pieces",
    "write_index",
]


def __getattr__(name: str) -> object:
    """Import a public name from the module it lives in."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"libertas.corpus.{module}"), name)
    raise AttributeError(f"libertas.corpus has no public name {name!r}")
