"""How far a general compressor gets on the same documents: the floor that a language model has to beat."""

import lzma
from collections.abc import Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

LEVEL = 19
"""The highest level of zstd that needs no extra memory to read."""

DICTIONARY_BYTES = 8 << 20
"""Most training text given to the primed variant: what the window of level 19 can reach."""

POLICY = (
    f"zstd level {LEVEL}, every document a frame of its own without checksum, length or dictionary id; primed: the "
    f"first {DICTIONARY_BYTES >> 20} MiB of the component's training text as a raw dictionary before each document"
)

SMALLEST_WINDOW, LARGEST_WINDOW = 4 << 10, 64 << 20
"""What LZMA2 takes at least for a window, and what preset 9 takes."""

XZ_POLICY = (
    "xz -9e (the standard library's lzma), every document alone, as raw LZMA2 without xz's container, which would add "
    "some 60 bytes to each; the window is no longer than the document needs"
)


def zstd_bytes(texts: Sequence[bytes], dictionary: bytes = b"") -> NDArray[np.int64]:
    """Compressed size of each text, alone or after a dictionary of other text; at most `DICTIONARY_BYTES` are used."""
    primer = None
    if dictionary:
        primer = zstandard.ZstdCompressionDict(dictionary[:DICTIONARY_BYTES], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        primer.precompute_compress(level=LEVEL)
    compressor = zstandard.ZstdCompressor(
        level=LEVEL, dict_data=primer, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    return np.array([len(compressor.compress(text)) for text in texts], dtype=np.int64)


def xz_bytes(text: bytes) -> int:
    """Compressed size of a text; a window of the text's own length changes no byte, and spares clearing 600 MB."""
    window = min(max(SMALLEST_WINDOW, 1 << (len(text) - 1).bit_length()), LARGEST_WINDOW) if text else SMALLEST_WINDOW
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}]
    return len(lzma.compress(text, format=lzma.FORMAT_RAW, filters=filters))
