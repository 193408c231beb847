"""The chain of a run: at every so-manieth step a hash over the batches since the last one, and over all weights.

    chain(n) = blake3(chain(n - 1), batches, weights)

Each link commits to all before it, so whoever has `chain.jsonl` can train any interval again and see that it leads from
one link to the next (`libertas train audit`). Batches are taken as the store holds them, whatever processes, objectives
or masks make of them; they are read again for this, which costs a thousandth of a step.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blake3 import blake3
from torch import Tensor

from libertas.lineage.fingerprint import HASH_PREFIX, digest
from libertas.tokenize.order import Order
from libertas.tokenize.pack import read_batch
from libertas.tokenize.store import TokenStore
from libertas.train.config import TrainConfig
from libertas.train.journal import Journal, read_metrics
from libertas.train.parallel import Layout
from libertas.train.snapshot import weights_hash

CHAIN = "chain.jsonl"
NOTHING = digest(b"")
"""What the first link follows."""


def is_link(step: int, config: TrainConfig) -> bool:
    """Whether the chain has a link after a step: the first, every so-manieth, and the last."""
    return step % config.check_every == 0 or step == config.steps


def batches_digest(store: TokenStore, order: Order, first: int, last: int) -> str:
    """Hash over the token numbers that steps `first` to `last` read, as little-endian 64-bit numbers."""
    hasher = blake3()
    for step in range(first, last + 1):
        hasher.update(read_batch(store, order, step).tokens.astype("<i8").tobytes())
    return HASH_PREFIX + hasher.hexdigest()


def next_link(before: str, step: int, batches: str, weights: str) -> dict[str, Any]:
    """The line of a link."""
    chain = digest(f"{before} {batches} {weights}".encode())
    return {"step": step, "batches": batches, "weights": weights, "chain": chain}


def read_chain(run: Path) -> list[dict[str, Any]]:
    """The links of a run, finished or not, in order."""
    return read_metrics(run / CHAIN)


def first_broken(links: Iterable[dict[str, Any]]) -> int | None:
    """The step of the first link that does not follow from the one before it."""
    before = NOTHING
    for link in links:
        if link != next_link(before, link.get("step", -1), link.get("batches", ""), link.get("weights", "")):
            return int(link.get("step", -1))
        before = link["chain"]
    return None


class Chain:
    """Grows while a run is trained."""

    def __init__(self, folder: Path, store: TokenStore, order: Order, config: TrainConfig, layout: Layout) -> None:
        """Bind the run; `cut` opens its file."""
        self.folder, self.store, self.order, self.config, self.layout = folder, store, order, config, layout
        self.journal: Journal | None = None
        self.step, self.last = 0, NOTHING

    def cut(self, step: int) -> None:
        """Continue after a step, -1 for a fresh model; later links are removed."""
        if self.layout.first:
            self.journal = Journal(self.folder, after_step=step, name=CHAIN)
            links = read_chain(self.folder)
            self.step, self.last = (links[-1]["step"], links[-1]["chain"]) if links else (0, NOTHING)

    def link(self, step: int, weights: dict[str, Tensor]) -> None:
        """Append the link of a step; every process must call it."""
        found = weights_hash(weights, self.layout)
        if self.journal is not None:
            batches = batches_digest(self.store, self.order, self.step + 1, step)
            line = next_link(self.last, step, batches, found)
            self.journal.write(line)
            self.step, self.last = step, line["chain"]

    def settled(self) -> bool:
        """Whether every link is in the file; a state must not be saved before."""
        return self.journal is None or self.journal.settled()

    def close(self) -> None:
        """Close the file."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None
