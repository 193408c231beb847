"""What `libertas evaluate` can be told. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.asking import AUTO, PLAIN, SHARED, Asking
from libertas.evaluate.shots import Shots
from libertas.lineage.fingerprint import execution

MOST_TEMPERATURE = 10.0
"""Beyond it nearly all tokens are drawn alike, whatever the model says."""
FLOAT32, FLOAT64 = "float32", "float64"
"""Precisions of an evaluation."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Score a model on held-out documents and on tasks, under several protocols."""

    run: Path
    """Run, or one checkpoint of it, written by `libertas train`."""
    corpus: Path | None = None
    """Mixed corpus whose validation part is scored, written by `libertas mix`."""
    tasks: tuple[str, ...] = ()
    """Tasks: `mmlu=FILE`, `hellaswag=FILE` and others, `items=FILE` in our own form, each with solved items for
    examples behind a comma, as `mmlu=TEST,DEV`; or one that is made, such as `arithmetic`."""
    readings: tuple[str, ...] = ("letters", "text", "bytes")
    """Protocols, each with a normalization if wanted, as `text/bytes`, `harness` or `olmes-text/pmi`."""
    shots: int = 0
    """Solved examples before each item of a task."""
    shots_seed: int | None = None
    """Draws the examples; without it they are the first ones, as in MMLU's published code."""
    shared_shots: bool = True
    """Whether all items of a subject have the same examples; otherwise (`--shared-shots=false`) each
    draws its own."""
    start: str = AUTO
    """What every prompt follows: `end-of-text`, the token that ends documents; `bos`, the one that begins texts;
    `nothing`; `auto`, what the model was trained with, or an imported tokenizer's settings say."""
    boundary: str = SHARED
    """Where a choice's tokens begin: `shared`, after the longest token prefix that prompt and whole share;
    `lm-eval`, by its rule."""
    chat: str = PLAIN
    """Whether prompts stand in the model's chat template: `no`; `turns`, with a turn for each example; `message`, with
    examples and question in one message."""
    system: str = ""
    """Message of the system, before all others of a chat."""
    order_seed: int | None = None
    """Shuffles the choices of every item; without it they stand as the task has them."""
    limit: int = 0
    """Most items of a task, evenly spread over it; 0 for all."""
    samples: int = 1
    """Answers to each item where the model has to write them; a single one is always the likeliest token, several are
    drawn, and pass@k is told."""
    temperature: float = 0.8
    """Of several samples."""
    most_tokens: int = 256
    """Tokens of a written answer; at most half of the model's context."""
    sensitivity: bool = False
    """Whether every task with choices is also asked in a grid of other ways, for `sensitivity.html` and `.json`: how
    much of a score is the protocol, the wording, the examples, the order of the choices, or noise."""
    sensitivity_protocols: tuple[str, ...] = ()
    """Protocols in the grid; without them all that fit a task."""
    sensitivity_shots: tuple[int, ...] = (0, 2)
    """Numbers of solved examples in the grid, besides none; those that a task has too few items for are left out."""
    sensitivity_seeds: int = 2
    """Draws of examples in the grid, for each number of them above 0."""
    sensitivity_orders: int = 2
    """Orders of the choices in the grid: as they are, and shuffled."""
    sensitivity_items: int = 100
    """Most items of a task in the grid, evenly spread over it; 0 for all."""
    index: Path | None = None
    """Suffix index of the training tokens: tells token by token what held-out documents and right answers share with
    them. Items of tasks are looked up without it."""
    contamination: bool = True
    """Whether the items of all tasks are looked up, word for word, in the documents that the model was trained on, and
    scores are also told without those that stand there; `--contamination=false` leaves it out."""
    out: Path
    """Directory of the result."""
    items: int = 200
    """Multiple-choice questions to make from the held-out documents; 0 leaves the task out."""
    seed: int = 0
    """Chooses the passages and the wrong answers."""
    threads: int = 2
    """Threads for arithmetic; part of the result's identity, since sums depend on how they are split."""
    precision: str = FLOAT32
    """Of the arithmetic: `float32`, or `float64` for proofs: scores then agree to some 12 digits however they are
    computed, and what float32 leaves a near-tie is decided."""
    cache: Path | None = execution(None)  # noqa: RUF009  a field of the dataclass, as the others
    """Folder where the log-probabilities of this evaluation are kept, by weights, tokenizer and tokens, and looked up
    by later ones."""
    baseline: Path | None = execution(None)  # noqa: RUF009  # it makes a field, as for the others
    """Result of an older model, to compare with on the same items."""
    gate: bool = execution(False)
    """Whether the exit status tells if this model may replace that of the baseline, as with `libertas compare`: 0 for
    GO, 1 for NO-GO, 3 where the items are too few to tell."""
    margin: float = execution(0.01)
    """Loss of a score that the gate lets pass: a share of the items, or of the baseline's bits per byte."""

    def __post_init__(self) -> None:
        """Refuse counts that cannot be meant."""
        if self.gate and self.baseline is None:
            raise UsageError("gate is asked for without a baseline; name the result of the older model with --baseline")
        require_margin(self.margin)
        _ = self.asking
        if self.items < 0:
            raise UsageError(f"items is {self.items}; expected a number of questions, 0 or more, such as 200")
        for name in ("shots", "limit"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 0 or more")
        for name, least in (("sensitivity_items", 0), ("sensitivity_seeds", 1), ("sensitivity_orders", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; expected {least} or more")
        if min(self.sensitivity_shots, default=0) < 0:
            raise UsageError(f"sensitivity_shots is {self.sensitivity_shots}; expected 0 or more each")
        if self.corpus is None and not self.tasks:
            raise UsageError("neither corpus nor tasks are given; expected held-out documents, or a task, to score")
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}; expected 1 or more, such as the number of cores")
        _require_precision(self.precision)
        for name in ("samples", "most_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not 0 < self.temperature <= MOST_TEMPERATURE:
            raise UsageError(
                f"temperature is {self.temperature}; expected above 0, such as 0.8; for the likeliest tokens leave "
                "samples at 1"
            )
        names = [spec.partition("=")[0] for spec in self.tasks]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"tasks has {twice[0]} twice; score them into two results")

    @property
    def asking(self) -> Asking:
        """How prompts are put; `start` may still be `auto`."""
        return Asking(start=self.start, boundary=self.boundary, chat=self.chat, system=self.system)

    def shots_of(self, task: str) -> Shots:
        """Examples before the items of a task; those made from held-out documents have none."""
        if task == "continuation":
            return Shots()
        return Shots(count=self.shots, seed=self.shots_seed, shared=self.shared_shots)


def require_margin(margin: float) -> None:
    """Refuse a margin that cannot be meant.

    Raises:
        UsageError: it is no share from 0 to below 1.
    """
    if not 0 <= margin < 1:
        raise UsageError(f"margin is {margin}; expected a share from 0 to below 1, such as 0.01")


def _require_precision(precision: str) -> None:
    if precision not in (FLOAT32, FLOAT64):
        raise UsageError(f"precision is {precision!r}; expected {FLOAT32}, or {FLOAT64} for proofs")


@dataclass(frozen=True, kw_only=True)
class StepsConfig:
    """Score other checkpoints of a run, each as an existing result was made."""

    result: Path
    """Result of the run, made by `libertas evaluate`; its settings are used."""
    steps: tuple[int, ...] = ()
    """Steps to score; without them, all whose checkpoints the run keeps."""
    out: Path
    """Folder of the results, one for each step."""


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare results on the items that all have."""

    results: tuple[Path, ...]
    """Two results or more, written by `libertas evaluate`: the old one first, which each other is compared with."""
    gate: bool = False
    """Whether the exit status tells if the new model may replace the old one: 0 for GO, 1 for NO-GO, 3 where the
    items are too few to tell."""
    margin: float = 0.01
    """Loss of a score that the gate lets pass: a share of the items, or of the old model's bits per byte."""
    flips: int = 3
    """Items to show, of each score, that one model had right and the other wrong."""
    out: Path | None = None
    """File for all of it as JSON, with every item that changed sides."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if len(self.results) < 2:
            raise UsageError(f"{len(self.results)} results are given; expected two or more, the old one first")
        if len(set(self.results)) < len(self.results):
            raise UsageError("results names one result twice; expected different ones")
        require_margin(self.margin)
        if self.flips < 0:
            raise UsageError(f"flips is {self.flips}; expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class HarnessConfig:
    """Run tasks of lm-eval with our model as its backend."""

    run: Path
    """Run, or one checkpoint of it, or an imported model."""
    tasks: tuple[str, ...]
    """Names of lm-eval's tasks or groups."""
    out: Path
    """Directory of what lm-eval says."""
    include_path: Path | None = None
    """Folder of task files of your own; lm-eval's are then left alone, and it starts at once."""
    defaults: bool = False
    """Whether lm-eval's own tasks are wanted beside those of `include_path`; listing them takes half a minute."""
    shots: int | None = None
    """Examples before each question; without it, as the task says."""
    limit: int = 0
    """Most questions of a task; 0 for all."""
    threads: int = 2
    """Threads for arithmetic; part of the result's identity, since sums depend on how they are split."""
    precision: str = FLOAT32
    """Of the arithmetic: `float32`, or `float64` for proofs: scores then agree to some 12 digits however they are
    computed, and what float32 leaves a near-tie is decided."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.tasks:
            raise UsageError("tasks is empty; expected names of lm-eval's tasks, such as arc_easy")
        if self.limit < 0 or self.threads < 1:
            raise UsageError(f"limit is {self.limit} and threads {self.threads}; expected 0 or more, and 1 or more")
        _require_precision(self.precision)
