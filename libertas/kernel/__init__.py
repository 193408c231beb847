"""The native kernel: hot loops in C, where a compiler was there when libertas was installed.

Reading pages is in blocks.c, features.c, grams.c and source.c, the words of texts and their signatures in words.c,
looking rows of words up in overlaps.c, texts into tokens in tokens.c, a model's next token in decode.c.

Each of its functions does what the Python function beside its call does, and is a matter of speed only: that function
is the reference, it takes over where `native` is None, and tests compare the two. They agree exactly, but for
decode.c, which rounds as torch does not.
"""

from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType


def source_digest() -> str:
    """SHA-256 of the C code beside this file."""
    code = sorted(Path(__file__).parent.glob("*.[ch]"))
    return sha256(b"".join(path.read_bytes() for path in code)).hexdigest()


def _compiled() -> ModuleType | None:
    try:
        module = import_module("libertas.kernel._native")
    except ImportError:
        return None
    return module if source_digest() == module.SOURCE else None


native = _compiled()
"""The C code of this folder, compiled; None where it was not, or was compiled from other code than is here."""
