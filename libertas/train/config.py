"""Settings of a training run. Needs no torch, so that help and lab files are read quickly."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution
from libertas.model.sizes import named_size


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a language model on a token store; kill it at any time and run it again to continue bit for bit."""

    tokens: Path
    """Token store written by `libertas tokenize`."""
    out: Path
    """Run directory to write."""
    model: str = "neo-1m"
    """Named size of the model; its vocabulary is taken from the token store."""
    steps: int = 900
    """Optimizer steps."""
    batch: int = 8
    """Sequences per step; a sequence has as many tokens as the model's context."""
    micro_batch: int = 8
    """Sequences per forward pass; gradients accumulate over batch / micro_batch of them."""
    optimizer: str = "muon"
    """`muon` (for the matrices inside the blocks, AdamW for the rest) or `adamw` (for everything)."""
    learning_rate: float = 1e-2
    """Highest learning rate of AdamW, reached after the warm-up."""
    muon_rate: float = 0.02
    """Highest learning rate of Muon (Jordan 2024: 0.02)."""
    final_rate: float = 0.1
    """Learning rates at the last step, as a share of the highest (GPT-NeoX and Pythia: 0.1)."""
    warmup: float = 0.02
    """Share of the steps over which learning rates rise linearly from zero (Pythia: 0.01)."""
    weight_decay: float = 0.1
    """Decoupled weight decay of the matrices; biases, norms and positions are not decayed (Pythia: 0.1)."""
    beta2: float = 0.95
    """Decay of AdamW's second moment (GPT-NeoX-20B, Pythia: 0.95)."""
    clip: float = 1.0
    """Largest norm of the gradient (GPT-NeoX-20B, Pythia: 1.0)."""
    seed: int = 0
    """Decides the initial weights and the order of the data."""
    checkpoint_every: int = 200
    """Steps between permanent checkpoints, beside the log-spaced ones at 0, 1, 2, 4, … 512."""
    validate_every: int = 100
    """Steps between measurements of the held-out loss, in bits per byte."""
    save_seconds: float = execution(20.0)
    """Seconds of wall clock between saves of the full state, from which an interrupted run continues."""
    workers: int = execution(0)
    """Threads that read batches ahead; the order of the data does not depend on it."""
    threads: int = 2
    """Threads for arithmetic; part of the run's identity, since sums depend on how they are split."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        named_size(self.model)
        counts = ("steps", "batch", "micro_batch", "checkpoint_every", "validate_every", "threads")
        self._require(counts, lambda v: v >= 1, "1 or more")
        self._require(("workers",), lambda v: v >= 0, "0 or more threads")
        self._require(("seed",), lambda v: -(2**63) <= v < 2**63, "a whole number from -2^63 to 2^63 - 1, such as 0")
        self._require(("learning_rate", "muon_rate", "clip"), lambda v: 0 < v < math.inf, "a finite number above 0")
        self._require(("weight_decay", "save_seconds"), lambda v: 0 <= v < math.inf, "a finite number, 0 or more")
        self._require(("final_rate",), lambda v: 0 <= v <= 1, "a share of the highest rate, from 0 to 1")
        self._require(("beta2",), lambda v: 0 <= v < 1, "0 or more and below 1, such as 0.95")
        self._require(("warmup",), lambda v: 0 <= v < 1, "a share of the steps, from 0 to below 1")
        if self.optimizer not in ("muon", "adamw"):
            raise UsageError(f"optimizer is {self.optimizer!r}; expected 'muon' or 'adamw'")
        if self.batch % self.micro_batch:
            raise UsageError(f"batch is {self.batch}, not a multiple of micro_batch, {self.micro_batch}; change one")

    def _require(self, names: tuple[str, ...], holds: Callable[[float], bool], expected: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not holds(value):
                raise UsageError(f"{name} is {value}; expected {expected}")
