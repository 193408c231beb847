"""What `libertas mix` can be told."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution

SEEN_SIMILARITY = 0.8
"""Estimated Jaccard similarity from which a text counts as seen; the usual choice since Lee et al. 2022."""
MOST_PASSES = 1_000_000
"""Largest weight; a mixture that repeats a component more often is a slip of the pen."""
WHOLE = 1e-9
"""Shares whose sum differs from 1 by less than this sum to 1."""


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """Mix components into one corpus with a training, a validation and perhaps a test part.

    How much of each is said in one of five ways: `weights`, `shares`, `temperature`, `language_shares` or
    `language_temperature`. With a budget, weights count relative to each other; without one, shares and temperatures
    divide as many bytes as there are.
    """

    corpora: tuple[Path, ...]
    """Corpora made by `libertas gather`."""
    decisions: tuple[Path, ...] = ()
    """What `curate`, `dedup`, `decontaminate` and `redact` said of these corpora; the first reason that speaks against
    a document counts. Without any, every document is taken."""
    out: Path
    """Directory of the mixed corpus."""
    weights: dict[str, float] = field(default_factory=dict)
    """How often a component is seen in one pass over the mixture (the Pile's epochs); 1 where not named."""
    shares: dict[str, float] = field(default_factory=dict)
    """Share of the mixture's bytes that a component should have; those not named divide the rest by their size."""
    temperature: float | None = None
    """Shares in proportion to size^(1/temperature): 1 changes nothing, more favours what is small."""
    language_shares: dict[str, float] = field(default_factory=dict)
    """As `shares`, for languages (`meta.language`) instead of components."""
    language_temperature: float | None = None
    """As `temperature`, for languages instead of components; 3.3 is that of mT5."""
    caps: dict[str, float] = field(default_factory=dict)
    """Most passes over a component (or language), whatever its share; what it leaves goes to the others."""
    budget_bytes: int | None = None
    """Bytes of text that training should have, exact to within a document."""
    budget_tokens: int | None = None
    """Tokens that training should have, end-of-text tokens included; needs `tokenizer` or `bytes_per_token`."""
    tokenizer: Path | None = None
    """A `tokenizer.json` to count the tokens of every document with, for an exact `budget_tokens`."""
    bytes_per_token: float | None = None
    """Bytes that a token has on average, for an estimated `budget_tokens`."""
    duplicates: str = "across"
    """`across` keeps one document of each cluster of duplicates, `within` one for each corpus (such as a dump) that the
    cluster goes over, `keep` all of them. Of those that nothing else speaks against, the first by the priority of
    `libertas dedup` stays."""
    tombstones: Path | None = None
    """A text file of document ids and URLs, one a line, to leave out whatever else is said of them."""
    validation: float = 0.02
    """Share of each component's documents that is held out, at least one cluster where there are several; 0 holds out
    nothing."""
    test: float = 0.0
    """Share that is held out as a part `test` beside it."""
    similarity: float = SEEN_SIMILARITY
    """Estimated Jaccard similarity of word 5-grams from which a document is too much like one that is held out."""
    seed: int = 0
    """Chooses the held-out documents, those of a part of a pass, and the order."""
    plan: bool = execution(False)
    """Print the table of the mixture and stop; what was read is kept beside `out` until it is mixed."""
    workers: int = execution(2)
    """Processes that read and write; the corpus does not depend on it."""
    engine: str = execution("local")
    """`local`, or `ray`, which makes each shard as a task of the Ray cluster that the environment names
    (`RAY_ADDRESS=auto`), or of this machine; `out` must then lie on storage that all its machines share."""

    @property
    def by_language(self) -> bool:
        """Whether weights and shares speak of languages, not of components."""
        return bool(self.language_shares) or self.language_temperature is not None

    @property
    def named_shares(self) -> dict[str, float]:
        """The shares that were given, of components or of languages."""
        return self.language_shares or self.shares

    @property
    def flattening(self) -> float | None:
        """The temperature that was given, of components or of languages."""
        return self.temperature if self.temperature is not None else self.language_temperature

    @property
    def has_total(self) -> bool:
        """Whether it is said how much the mixture should be in all, not only how often each component is seen."""
        budget = self.budget_bytes is not None or self.budget_tokens is not None
        return budget or bool(self.named_shares) or self.flattening is not None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        self._require_inputs()
        self._require_numbers()
        self._require_one_way()
        for name, allowed in (("duplicates", ("across", "within", "keep")), ("engine", ("local", "ray"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected {', '.join(allowed)}; name one")
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError(f"seed is {self.seed}; expected a whole number from -2^63 to 2^63 - 1, such as 0")

    def _require_inputs(self) -> None:
        if not self.corpora:
            raise UsageError("corpora is empty; expected at least one corpus to mix: make it with `libertas gather`")
        for name in ("corpora", "decisions"):
            values = getattr(self, name)
            if twice := [v for v in values if values.count(v) > 1]:
                raise UsageError(f"{name} names {twice[0]} twice; expected each once; leave the second out")

    def _require_numbers(self) -> None:
        for setting in ("weights", "caps"):
            for name, passes in getattr(self, setting).items():
                if not 0 <= passes <= MOST_PASSES:
                    raise UsageError(
                        f"{setting}: {name} has {passes}; expected a number of passes from 0 to {MOST_PASSES:,}"
                    )
        for setting in ("shares", "language_shares"):
            shares = getattr(self, setting)
            for name, share in shares.items():
                if not 0 <= share <= 1:
                    raise UsageError(f"{setting}: {name} has {share}; expected a share from 0 to 1, such as 0.2")
            if math.fsum(shares.values()) > 1 + WHOLE:
                raise UsageError(f"{setting} sum to {math.fsum(shares.values()):g}; expected at most 1; lower some")
        for setting in ("validation", "test"):
            if not 0.0 <= getattr(self, setting) < 1.0:
                raise UsageError(
                    f"{setting} is {getattr(self, setting)}; expected a share of 0 or more and below 1, such as 0.02"
                )
        for setting in ("temperature", "language_temperature", "bytes_per_token", "budget_bytes", "budget_tokens"):
            value = getattr(self, setting)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{setting} is {value}; expected a number above 0; leave it out for none")
        if not 0.0 < self.similarity <= 1.0:
            raise UsageError(
                f"similarity is {self.similarity}; expected more than 0 and at most 1, such as {SEEN_SIMILARITY}"
            )
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more processes")

    def _require_one_way(self) -> None:
        ways = ("weights", "shares", "temperature", "language_shares", "language_temperature")
        _at_most_one({name: getattr(self, name) not in (None, {}) for name in ways})
        _at_most_one({name: getattr(self, name) is not None for name in ("budget_bytes", "budget_tokens")})
        _at_most_one({name: getattr(self, name) is not None for name in ("tokenizer", "bytes_per_token")})
        measured = self.tokenizer is not None or self.bytes_per_token is not None
        if measured != (self.budget_tokens is not None):
            had, lacks = ("budget_tokens", "`tokenizer` or `bytes_per_token`")
            if measured:
                had, lacks = ("tokenizer" if self.tokenizer is not None else "bytes_per_token"), "`budget_tokens`"
            raise UsageError(f"{had} is set without {lacks}; expected both; add it")
        if self.caps and not self.has_total:
            raise UsageError("caps is set without shares, a temperature or a budget; expected one: a weight is a cap")


def _at_most_one(given: dict[str, bool]) -> None:
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise UsageError(f"{names[0]} and {names[1]} contradict each other; expected one of them; leave one out")
