"""Exact duplicates: documents whose text is the same once whitespace at its two ends is taken off.

"Whitespace" is what `str.strip` removes; nothing inside the text is changed, neither case nor spaces nor Unicode form,
so two texts that share a key show the same characters in the same order.
"""

from blake3 import blake3

KEY_BYTES = 16
"""128 bits: among 2^40 documents a false match has a chance of about 2^-49."""


def text_key(text: str) -> bytes:
    """Key of a text: 16 bytes of BLAKE3 over its UTF-8 form without whitespace at the ends."""
    return blake3(text.strip().encode()).digest(length=KEY_BYTES)
