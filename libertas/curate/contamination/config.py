"""What `libertas decontaminate` can be told."""

from dataclasses import dataclass, field
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution
from libertas.spelling import nearest

MARGIN = 200
"""Characters that are cut on either side of what a document shares with an item (Brown et al. 2020, appendix C)."""

KINDS = ("with_answer", "question", "passage")
"""What a document may hold of an item, the worst first."""
ROLES = ("question", "choices", "answer", "passage", "other", "id")
"""Parts of an item that an evaluation set may name in its own way."""

ACTIONS, ENGINES = ("mark", "cut", "drop"), ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class DecontaminateConfig:
    """Find the items of evaluation sets in documents, word for word, in any script; mark, cut or drop them."""

    corpora: tuple[Path, ...]
    """Corpora made by `libertas gather`."""
    against: tuple[Path, ...] = ()
    """Evaluation sets: JSONL, JSON, CSV, TSV or plain text (also .gz or .zst), folders of these, or corpora."""
    out: Path
    """Directory of what was found."""
    action: str = "mark"
    """`mark` only reports; `cut` takes the overlaps out of the documents that hold them, `drop` the documents."""
    kinds: tuple[str, ...] = ("with_answer", "question")
    """What is cut or dropped: documents with a question and its answer, with a question, or with part of a passage."""
    margin: int = MARGIN
    """Characters that are cut on either side of an overlap, out to the next border between words."""
    fields: dict[str, str] = field(default_factory=dict)
    """Where an evaluation set names its columns in its own way: `--fields.question stem --fields.answer key`."""
    workers: int = execution(2)
    """Processes that read text at the same time."""
    engine: str = execution("local")
    """`local`, or `ray` for a task per shard on a cluster."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name, given, what in (
            ("corpora", self.corpora, "at least one corpus; make it with `libertas gather`"),
            ("against", self.against, "at least one evaluation set, such as `--against gsm8k.jsonl`"),
        ):
            if not given:
                raise UsageError(f"{name} is empty; expected {what}")
            if len(set(given)) < len(given):
                twice = next(p for p in given if given.count(p) > 1)
                raise UsageError(f"{name} names {twice} twice; name each once")
        for name, allowed in (("action", ACTIONS), ("engine", ENGINES)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected {' or '.join(allowed)}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise UsageError(f"kinds: there is no kind {kind!r}; {nearest(kind, KINDS)}")
        for role in self.fields:
            if role not in ROLES:
                raise UsageError(f"fields: an item has no {role!r}; {nearest(role, ROLES)}")
        if not 0 <= self.margin <= 1 << 20:
            raise UsageError(f"margin is {self.margin}; expected 0 to {1 << 20} characters, such as {MARGIN}")
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more processes")


@dataclass(frozen=True, kw_only=True)
class ShowOverlapsConfig:
    """Print what `libertas decontaminate` found: each item beside the text of the document that holds it."""

    found: Path
    """What `libertas decontaminate` made."""
    task: str = ""
    """Only the items of this evaluation set."""
    item: str = ""
    """Only the item with this id."""
    kind: str = ""
    """Only overlaps of this kind: with_answer, question or passage."""
    most: int = 10
    """How many overlaps to print."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.kind and self.kind not in KINDS:
            raise UsageError(f"kind: there is no kind {self.kind!r}; {nearest(self.kind, KINDS)}")
        if self.most < 0:
            raise UsageError(f"most is {self.most}; expected 0 or more overlaps to print")
