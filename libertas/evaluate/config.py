"""What `libertas evaluate` can be told. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.shots import Shots


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
    """Whether all items of a subject have the same examples; otherwise each draws its own."""
    limit: int = 0
    """Most items of a task, evenly spread over it; 0 for all."""
    index: Path | None = None
    """Suffix index of the training tokens; without it contamination is not measured, and the tables say so."""
    out: Path
    """Directory of the result."""
    items: int = 200
    """Multiple-choice questions to make from the held-out documents; 0 leaves the task out."""
    seed: int = 0
    """Chooses the passages and the wrong answers."""
    threads: int = 2
    """Threads for arithmetic; part of the result's identity, since sums depend on how they are split."""

    def __post_init__(self) -> None:
        """Refuse counts that cannot be meant."""
        if self.items < 0:
            raise UsageError(f"items is {self.items}; expected a number of questions, 0 or more, such as 200")
        for name in ("shots", "limit"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if self.corpus is None and not self.tasks:
            raise UsageError("neither corpus nor tasks are given; expected held-out documents, or a task, to score")
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}; expected 1 or more, such as the number of cores")

    def shots_of(self, task: str) -> Shots:
        """Examples before the items of a task; those made from held-out documents have none."""
        if task == "continuation":
            return Shots()
        return Shots(count=self.shots, seed=self.shots_seed, shared=self.shared_shots)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare two results on the items that both have."""

    results: tuple[Path, ...]
    """Two results written by `libertas evaluate`: the old one, then the new one."""
    gate: bool = False
    """Whether the exit status tells if the new model may replace the old one: 0 for GO, 1 for NO-GO, 3 where the
    items are too few to tell."""
    margin: float = 0.01
    """Loss of a score that the gate lets pass: a share of the items, or of the old model's bits per byte."""
    flips: int = 3
    """Items to show, of each score, that one model had right and the other wrong."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if len(self.results) != 2:
            raise UsageError(f"{len(self.results)} results are given; expected two, the old one and the new one")
        if not 0 <= self.margin < 1:
            raise UsageError(f"margin is {self.margin}; expected a share from 0 to below 1, such as 0.01")
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

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.tasks:
            raise UsageError("tasks is empty; expected names of lm-eval's tasks, such as arc_easy")
        if self.limit < 0 or self.threads < 1:
            raise UsageError(f"limit is {self.limit} and threads {self.threads}; expected 0 or more, and 1 or more")
