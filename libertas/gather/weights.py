"""The weights that come with the code: read, and checked to be the ones that the code names."""

from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from safetensors import safe_open

from libertas.errors import BrokenLineage


def stored_weights(path: Path, digest: str) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Tensors and notes of a safetensors file.

    Modules name the BLAKE3 digest of their weights, so that these are part of the code that an artifact was made by.

    Raises:
        BrokenLineage: the file is another one.
    """
    if blake3(path.read_bytes()).hexdigest() != digest:
        raise BrokenLineage(
            f"{path} does not have the digest that belongs to the code; expected BLAKE3 {digest[:16]}…; "
            "install libertas again"
        )
    with safe_open(path, "numpy") as stored:
        return {name: stored.get_tensor(name).astype(np.float32) for name in stored.keys()}, stored.metadata()  # noqa: SIM118
