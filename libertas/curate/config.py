"""What `libertas curate` can be told."""

from dataclasses import dataclass, field
from pathlib import Path

from libertas.curate.rules.rule import FILES, Rule, Wanted, with_limits
from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """Measure every document by quality rules, and say which of them speak against it."""

    corpora: tuple[Path, ...]
    """Corpora made by `libertas gather`."""
    out: Path
    """Directory of the decisions."""
    rules: tuple[str, ...] = ("default",)
    """Rules to apply, by name or family: `default`, `gopher`, `c4`, `fineweb`, `code`, `all`. Each knows whether it is
    about prose or about code. Rules about lists and languages are applied when those are given."""
    limits: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Other limits for some rules: the lowest and the highest value that pass, or the one number of a rule that has one
    limit, as in `--limits.gopher_words 50 100000 --limits.gopher_symbols 0.2`."""
    languages: tuple[str, ...] = ()
    """Languages to keep, as in `meta.language` (`en`, `de`, ...); empty keeps all. Code is never judged by it."""
    licenses: tuple[str, ...] = ()
    """Licenses to keep, as SPDX identifiers or addresses; others, and documents that name none, go. Empty keeps all."""
    allow_domains: Path | None = None
    """A file of domains, one a line: documents from elsewhere go."""
    block_domains: Path | None = None
    """A file of domains, one a line: documents from these, and from domains below them, go."""
    block_urls: Path | None = None
    """A file of addresses, one a line: these documents go."""
    perplexity_model: Path | None = None
    """A language model whose perplexity is measured; give `--limits.perplexity` for it to speak."""
    classifier: Path | None = None
    """A classifier whose score is measured; give `--limits.quality_classifier` for it to speak."""
    measured: Path | None = None
    """Earlier decisions about the same corpora, whose values are taken instead of reading the text again."""
    workers: int = execution(2)
    """Processes that read text at the same time."""
    engine: str = execution("local")
    """`local`, or `ray`, which judges each shard as a task of the Ray cluster that the environment names
    (`RAY_ADDRESS=auto`), or of this machine; `out` must then lie on storage that all its machines share."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require_corpora(self.corpora, "curate")
        self.chosen()
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more processes")
        if self.engine not in ("local", "ray"):
            raise UsageError(f"engine is {self.engine!r}; expected local or ray; name one")

    def wanted(self) -> Wanted:
        """What rules need to know of these settings."""
        return Wanted(
            languages=self.languages,
            licenses=self.licenses,
            **{name: path and path.absolute() for name in FILES if (path := getattr(self, name))},
        )

    def chosen(self) -> tuple[Rule, ...]:
        """The rules that are applied, with their limits.

        Raises:
            UsageError: a rule or limit is unknown, or a setting that a rule needs is absent.
        """
        from libertas.curate.rules.table import chosen_rules  # its patterns are many, and help needs none

        return with_limits(chosen_rules(self.rules, self.wanted()), self.limits)


def _require_corpora(corpora: tuple[Path, ...], command: str) -> None:
    if not corpora:
        raise UsageError(f"corpora is empty; expected at least one corpus to {command}: make it with `libertas gather`")
    for corpus in corpora:
        if corpora.count(corpus) > 1:
            raise UsageError(f"corpora names {corpus} twice; name each corpus once")
