"""Settings of a training run. Needs no torch, so that help and lab files are read quickly."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution
from libertas.model.sizes import named_size
from libertas.spelling import nearest

CHOICES = {
    "objective": ("causal", "fim", "span", "prefix", "ul2"),
    "optimizer": ("muon", "adamw", "adafactor"),
    "schedule": ("cosine", "linear", "wsd"),
    "precision": ("fp32", "bf16"),
    "on_spike": ("record", "skip", "rollback", "stop"),
    "logs": ("tensorboard", "wandb"),
    "device": ("auto", "cpu", "cuda"),
}
"""What the settings that name something may say."""
WEIGHTS_AND_SECONDS = ("weight_decay", "z_loss", "save_seconds", "grace_seconds")
GIGABYTES = ("resume_gigabytes", "states_gigabytes", "checkpoints_gigabytes")
SHARES = ("objective_rate", "decay")


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
    objective: str = "causal"
    """What is learned: `causal` (the next token), `fim` (fill in the middle; Bavarian et al. 2022), `span` (span
    corruption; Raffel et al. 2020), `prefix` (prefix language modelling) or `ul2` (a mixture; Tay et al. 2022)."""
    objective_rate: float = 0.5
    """Share of the documents that `fim` rearranges; the others are read causally (SantaCoder: 0.5)."""
    document_masks: bool = False
    """Whether a token sees only tokens of its own document, and positions count from its start; without masks,
    documents that are packed into one sequence see each other, as in GPT-NeoX."""
    optimizer: str = "muon"
    """`muon` (for the matrices inside the blocks, AdamW for the rest), `adamw` or `adafactor` (for everything)."""
    learning_rate: float = 1e-2
    """Highest learning rate of AdamW, reached after the warm-up."""
    muon_rate: float = 0.02
    """Highest learning rate of Muon (Jordan 2024: 0.02)."""
    final_rate: float = 0.1
    """Learning rates at the last step, as a share of the highest (GPT-NeoX and Pythia: 0.1)."""
    warmup: float = 0.02
    """Share of the steps over which learning rates rise linearly from zero (Pythia: 0.01)."""
    schedule: str = "cosine"
    """How learning rates fall after the warm-up: `cosine`, `linear`, or `wsd` (stay, then fall linearly at the end; Hu
    et al. 2024)."""
    decay: float = 0.2
    """Share of the steps, at the end, over which `wsd` lets the learning rates fall."""
    weight_decay: float = 0.1
    """Decoupled weight decay of the matrices; biases, norms and positions are not decayed (Pythia: 0.1)."""
    beta2: float = 0.95
    """Decay of AdamW's second moment (GPT-NeoX-20B, Pythia: 0.95)."""
    clip: float = 1.0
    """Largest norm of the gradient (GPT-NeoX-20B, Pythia: 1.0)."""
    z_loss: float = 0.0
    """Weight of the squared logarithm of the softmax's denominator, which keeps logits small (PaLM: 1e-4)."""
    precision: str = "fp32"
    """`fp32`, or `bf16`: weights are kept in fp32 and multiplied in bf16, for GPUs."""
    compiled: bool = False
    """Whether blocks are compiled by torch; the first step takes half a minute longer, and needs a C++ compiler."""
    recompute: bool = False
    """Whether activations inside blocks are computed again on the way back instead of kept: less memory, more time."""
    seed: int = 0
    """Decides the initial weights and the order of the data."""
    checkpoint_every: int = 200
    """Steps between permanent checkpoints, beside the log-spaced ones at 0, 1, 2, 4, … 512."""
    state_every: int = 0
    """Steps between full states that are kept beside the newest two, so that training can branch off; 0 for none."""
    check_every: int = 100
    """Steps between links of the chain of digests over batches and weights, by which a run can be checked."""
    on_spike: str = "record"
    """What happens when the loss jumps: `record` (the step's documents are noted), `skip` (its update is left out as
    well), `rollback` (training goes back to the state before, and leaves out the batches around it), or `stop`."""
    spike_deviations: float = 8.0
    """How many standard deviations above its recent mean a loss or gradient norm counts as a spike."""
    validate_every: int = 100
    """Steps between measurements of the held-out loss, in bits per byte."""
    save_seconds: float = execution(20.0)
    """Seconds of wall clock between saves of the full state, from which an interrupted run continues."""
    resume_gigabytes: float = execution(0.0)
    """Most that the newest full states may take; 0 for no limit."""
    states_gigabytes: float = execution(0.0)
    """Most that the states of `state_every` may take; the least informative go first; 0 for no limit."""
    checkpoints_gigabytes: float = execution(0.0)
    """Most that permanent checkpoints may take in the run's folder; 0 for no limit."""
    archive: str = execution("")
    """Second folder, or an address such as `s3://bucket/run`, to which permanent checkpoints are copied as they come;
    empty for none."""
    grace_seconds: float = execution(30.0)
    """Seconds that a stopping run may take to save, after SIGTERM or Ctrl-C."""
    logs: tuple[str, ...] = execution(())
    """Where metrics go beside `metrics.jsonl`: `tensorboard`, `wandb`."""
    device: str = execution("auto")
    """`cpu`, `cuda`, or `auto`: a GPU where there is one."""
    tensor: int = execution(1)
    """Processes that share each matrix (tensor parallel); the others hold different data."""
    replicas: int = execution(1)
    """Whole copies of the model; inside each, its parts are sharded over the processes (HSDP)."""
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
        self._require(("check_every", "tensor", "replicas"), lambda v: v >= 1, "1 or more")
        self._require(("state_every",), lambda v: v >= 0, "a number of steps, or 0 for none")
        self._require(("seed",), lambda v: -(2**63) <= v < 2**63, "a whole number from -2^63 to 2^63 - 1, such as 0")
        self._require(("learning_rate", "muon_rate", "clip"), lambda v: 0 < v < math.inf, "a finite number above 0")
        self._require(WEIGHTS_AND_SECONDS, lambda v: 0 <= v < math.inf, "a finite number, 0 or more")
        self._require(("final_rate",), lambda v: 0 <= v <= 1, "a share of the highest rate, from 0 to 1")
        self._require(("beta2",), lambda v: 0 <= v < 1, "0 or more and below 1, such as 0.95")
        self._require(("warmup",), lambda v: 0 <= v < 1, "a share of the steps, from 0 to below 1")
        self._require(SHARES, lambda v: 0 <= v <= 1, "a share, from 0 to 1")
        self._require(GIGABYTES, lambda v: 0 <= v < math.inf, "a finite number of gigabytes, or 0 for no limit")
        self._require(("spike_deviations",), lambda v: 0 < v < math.inf, "a finite number above 0, such as 8")
        for name, known in CHOICES.items():
            for word in getattr(self, name) if name == "logs" else (getattr(self, name),):
                if word not in known:
                    raise UsageError(f"{name} is {word!r}; {nearest(word, known)}")
        if self.archive and self.on_spike == "rollback":
            raise UsageError(
                "on_spike is 'rollback' and archive is set, but what was copied there cannot be taken back; use 'skip'"
            )
        if self.batch % self.micro_batch:
            raise UsageError(f"batch is {self.batch}, not a multiple of micro_batch, {self.micro_batch}; change one")

    def _require(self, names: tuple[str, ...], holds: Callable[[float], bool], expected: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not holds(value):
                raise UsageError(f"{name} is {value}; expected {expected}")
