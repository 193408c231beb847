"""How far the text of each component can be compressed: bytes out per byte in, with a confidence interval.

A low ratio means repetition and boilerplate, a high one noise. The sampled documents of a component are joined and cut
into equal blocks, each compressed alone; the spread over blocks gives the interval.
"""

import lzma
from collections.abc import Mapping
from itertools import chain
from statistics import mean, stdev
from typing import Any

import zstandard

from libertas.curate.datasheet.sample import KeyedSample
from libertas.curate.datasheet.tally import rounded
from libertas.engine import map_ordered
from libertas.terminal import progress

BLOCK_BYTES = 1 << 16
BLOCKS = 32
"""Blocks of each component: 2 MiB of text."""
CODECS = ("zstd_3", "zstd_19", "xz")
STUDENT_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042, 2.040,
)  # fmt: skip
"""Student's t for a two-sided interval of 95 %, from 1 to 31 degrees of freedom."""


def compress_facts(samples: Mapping[str, KeyedSample], workers: int) -> dict[str, Any]:
    """Ratio and interval of each codec by component; a component without text has none."""
    blocks = [(name, block) for name, sample in sorted(samples.items()) for block in text_blocks(sample)]
    ratios: dict[str, dict[str, list[float]]] = {}
    with progress("Compressing", len(blocks)) as bar:
        found = map_ordered(_ratios, (block for _, block in blocks), workers)
        for (name, _), one in zip(blocks, found, strict=True):
            for codec, ratio in one.items():
                ratios.setdefault(name, {}).setdefault(codec, []).append(ratio)
            bar.advance(1, "blocks")
    return {
        "block_bytes": BLOCK_BYTES,
        "components": {
            name: {codec: interval(values) for codec, values in by_codec.items()} for name, by_codec in ratios.items()
        },
    }


def text_blocks(sample: KeyedSample) -> list[bytes]:
    """Equal blocks of a sample's text in order of key; one shorter block where there is less text than one holds."""
    whole, texts = b"", chain.from_iterable((d.text, "\n\n") for d in sample.documents)
    for text in texts:
        whole += text.encode()
        if len(whole) >= BLOCKS * BLOCK_BYTES:
            break
    count = min(BLOCKS, len(whole) // BLOCK_BYTES)
    if not count:
        return [whole] if whole.strip() else []
    return [whole[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES] for n in range(count)]


def interval(values: list[float]) -> dict[str, Any]:
    """Mean and half the width of its 95 % interval (Student's t), None where there is only one value."""
    n = len(values)
    half = STUDENT_T[n - 2] * stdev(values) / n**0.5 if n > 1 else None
    return {"mean": rounded(mean(values)), "interval": None if half is None else rounded(half), "blocks": n}


def _ratios(block: bytes) -> dict[str, float]:
    sizes = (
        len(zstandard.ZstdCompressor(level=3).compress(block)),
        len(zstandard.ZstdCompressor(level=19).compress(block)),
        len(lzma.compress(block, preset=6)),
    )
    return {codec: size / len(block) for codec, size in zip(CODECS, sizes, strict=True)}
