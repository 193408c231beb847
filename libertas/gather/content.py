"""Which blocks of a page are its main content: a small network over the row of its blocks.

Each block is seen with its neighbours (two convolutions) and with the page as a whole (mean and maximum over all
blocks), which is what trims heads and tails. `scripts/train_extractor.py` trained it; the weights lie beside this file.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from libertas.errors import UsageError
from libertas.gather.blocks import Blocks
from libertas.gather.features import Features, Floats, Lexicon
from libertas.lineage.fingerprint import digest

WEIGHTS = Path(__file__).parent / "models" / "extractor.npz"
WEIGHTS_DIGEST = "b3:a35d9ec8931945ee4f17717b8c5e94b373b26c165796c4da89f883b3625cbd06"
"""Written here so that the code's own hash, and with it every fingerprint, changes with the weights."""
KEEP = 0.5
"""Blocks more likely than this are kept; chosen by cross-validation."""
FAR = 2
"""How many rows the taps of the second convolution are apart."""
CLIP = 5.0
"""Standardized features are cut off at so many standard deviations."""


class Network:
    """The network with its weights, as plain matrix products."""

    def __init__(self, weights: dict[str, NDArray[np.generic]]) -> None:
        """Weights by name, as the training script writes them."""
        floats = {name: np.asarray(value, np.float32) for name, value in weights.items() if value.dtype == np.float16}
        self.w = floats
        self.features = Features(
            *(Lexicon(np.asarray(weights[kind], np.uint64), floats[f"{kind}_odds"]) for kind in ("names", "words"))
        )

    def probabilities(self, blocks: Blocks, title: str) -> Floats:
        """How likely each block is main content."""
        if not blocks.text:
            return np.zeros(0, np.float32)
        w = self.w
        x = np.clip((self.features.of(blocks, title) - w["mean"]) * w["scale"], -CLIP, CLIP)
        n, taps, reach = len(x), len(w["near_w"]), len(w["far_w"]) // 2 * FAR
        padded = np.zeros((n + 2 * reach, w["in_w"].shape[1]), np.float32)
        z = padded[reach : reach + n]
        np.maximum(x @ w["in_w"] + w["in_b"], 0, out=z)
        near = _windows(padded, n, taps, 1, reach - taps // 2) @ w["near_w"].reshape(-1, z.shape[1])
        z += np.maximum(near + w["near_b"], 0)
        z += np.concatenate([z.mean(0), z.max(0)]) @ w["page_w"] + w["page_b"]
        far = _windows(padded, n, taps, FAR, 0) @ w["far_w"].reshape(-1, z.shape[1])
        z += np.maximum(far + w["far_b"], 0)
        logits = z @ w["out_w"][:, 0] + w["out_b"]
        result: Floats = 1 / (1 + np.exp(-logits))
        return result


def _windows(padded: Floats, n: int, taps: int, apart: int, start: int) -> Floats:
    """For each of n rows, `taps` rows around it, `apart` rows from each other, side by side."""
    row, column = padded.strides
    shape = (n, taps, padded.shape[1])
    seen = np.lib.stride_tricks.as_strided(padded[start:], shape, (row, apart * row, column), writeable=False)
    result: Floats = seen.reshape(n, -1)
    return result


@cache
def network() -> Network:
    """The trained network.

    Raises:
        UsageError: the file of weights is missing or not the one this code was made with.
    """
    data = WEIGHTS.read_bytes() if WEIGHTS.exists() else b""
    if digest(data) != WEIGHTS_DIGEST:
        raise UsageError(
            f"{WEIGHTS} has digest {digest(data)}, expected {WEIGHTS_DIGEST}; it was changed or is missing; "
            "install libertas again"
        )
    with np.load(WEIGHTS) as weights:
        return Network(dict(weights))
