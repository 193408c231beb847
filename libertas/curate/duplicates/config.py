"""What `libertas dedup` can be told."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution
from libertas.spelling import nearest

METHODS = ("exact", "near", "lines", "substring")
ENGINES = ("local", "ray")
FIRST, LONGEST, META = "first", "longest", "meta."
"""Ways to say which of a cluster's documents represents it; anything else is the name of a component."""
SIMILARITY = 0.8
"""Jaccard similarity from which two documents count as the same; the usual choice since Lee et al. 2022."""
LINE_CHARACTERS = 40
"""Shorter lines, as `Read more` or `return None`, are words of a language rather than copies of a text."""
WINDOW_WORDS = 50
"""The usual choice since Lee et al. 2022, who count tokens."""
LEAST_SIMILARITY = 0.7
"""Here a tenth of the pairs never meet in a band of their signatures; below it, ever more."""


@dataclass(frozen=True, kw_only=True)
class DedupConfig:
    """Find duplicates: documents with the same text, similar documents, paragraphs and spans seen before."""

    corpora: tuple[Path, ...]
    """Corpora made by `libertas gather`."""
    out: Path
    """Directory of what is found; nothing is deleted, `mix` decides."""
    methods: tuple[str, ...] = ("exact", "near")
    """Which duplicates to look for: `exact` and `near` are about documents, `lines` and `substring` about parts of
    those that are no duplicates, or stand for them."""
    similarity: float = SIMILARITY
    """Jaccard similarity of sets of word 5-grams from which two documents are near-duplicates, 0.7 to 1."""
    priority: tuple[str, ...] = (FIRST,)
    """Which document of a cluster stands for it: `first` in corpus order, `longest`, the largest `meta.FIELD`, or the
    names of components, the best one first. Ties go to the first."""
    line_characters: int = LINE_CHARACTERS
    """Characters from which a line counts for `lines`."""
    line_documents: int = 1
    """Documents that may have a line; in all later ones it is cut."""
    window_words: int = WINDOW_WORDS
    """Words, or characters in scripts without spaces, from which a span that occurred before is cut by `substring`."""
    workers: int = execution(2)
    """Processes that work at the same time."""
    engine: str = execution("local")
    """`local`, or `ray` for a cluster."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.corpora:
            raise UsageError("corpora is empty; expected at least one corpus; make it with `libertas gather`")
        for corpus in self.corpora:
            if self.corpora.count(corpus) > 1:
                raise UsageError(f"corpora names {corpus} twice; expected each corpus once; leave one out")
        if not self.methods:
            raise UsageError("methods is empty; expected one or more of exact, near, lines, substring; leave it out")
        for name in self.methods:
            if name not in METHODS:
                raise UsageError(f"methods: there is no {name!r}; {nearest(name, METHODS)}")
        if not LEAST_SIMILARITY <= self.similarity <= 1.0:
            raise UsageError(
                f"similarity is {self.similarity}; expected {LEAST_SIMILARITY} to 1, for example {SIMILARITY}"
            )
        self._require_priority()
        least = {"line_characters": 1, "line_documents": 1, "window_words": 20, "workers": 1}
        for name, number in least.items():
            if getattr(self, name) < number:
                raise UsageError(f"{name} is {getattr(self, name)}; expected {number} or more")
        if self.engine not in ENGINES:
            raise UsageError(f"engine is {self.engine!r}; {nearest(self.engine, ENGINES)}")

    def _require_priority(self) -> None:
        """One rule, or names of components."""
        if not self.priority:
            raise UsageError(f"priority is empty; expected {FIRST}, {LONGEST}, {META}FIELD or names of components")
        rules = [name for name in self.priority if name in (FIRST, LONGEST) or name.startswith(META)]
        if rules and len(self.priority) > 1:
            raise UsageError(
                f"priority is {' '.join(self.priority)}; expected {rules[0]} alone, or only names of components"
            )


@dataclass(frozen=True, kw_only=True)
class ShowClusterConfig:
    """Show the cluster of one document: its members, and how each differs from the representative."""

    id: str
    """The document's id, or how it begins."""
    in_: Path
    """Duplicates found by `libertas dedup`; the corpora must still be where they were."""
    members: int = 10
    """Members of which the text is compared, the representative not counted."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.id or set(self.id) - set("0123456789abcdef"):
            raise UsageError(f"{self.id!r} is no id; expected the first of 32 hexadecimal digits, such as 0a1b2c3d")
        if self.members < 0:
            raise UsageError(f"members is {self.members}; expected 0 or more")
