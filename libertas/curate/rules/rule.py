"""What a rule is: a measure of a document, with the limits between which the value lets the document stay."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from libertas.errors import UsageError
from libertas.spelling import nearest

if TYPE_CHECKING:
    from libertas.curate.rules.analysis import Analysis

PROSE, CODE, ANY = "prose", "code", "any"
"""Which documents a rule is about; see `is_code`."""

Limits = Mapping[str, tuple[float, ...]]
"""By rule, other limits than its own: `(low, high)`, or the one number of a rule that has one limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the user asks for by name or list, as far as rules need it."""

    languages: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    allow_domains: Path | None = None
    block_domains: Path | None = None
    block_urls: Path | None = None
    perplexity_model: Path | None = None
    classifier: Path | None = None


FILES = ("allow_domains", "block_domains", "block_urls", "perplexity_model", "classifier")
"""What of it are files, or folders of models: inputs of the decisions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule. A value below `low` or above `high` speaks against the document; a value on a limit does not."""

    name: str
    function: "Callable[[Analysis], float | None]"
    """The value; None where the rule has nothing to say of the document."""
    low: float | None
    high: float | None
    unit: str
    about: str
    """What the value is, or what it is a share of, as a reason has it."""
    source: str
    applies: str
    """`PROSE`, `CODE` or `ANY`."""
    verdict: str = ""
    """The reason in words, where naming a limit would say less."""

    def reason(self, value: float) -> str | None:
        """Why a document with this value should go; None where it may stay."""
        about = f"share of {self.about}" if self.unit == "share" else self.about
        if self.low is not None and value < self.low:
            return self.verdict or f"{about} below {self.low:g}"
        if self.high is not None and value > self.high:
            return self.verdict or f"{about} above {self.high:g}"
        return None

    def limited(self, limits: tuple[float, ...]) -> "Rule":
        """The same rule with other limits.

        Raises:
            UsageError: they are not one number for a rule of one limit, or two in order.
        """
        bounds: tuple[float | None, ...] = limits
        if len(limits) == 1 and (self.low is None) != (self.high is None):
            bounds = (limits[0], None) if self.high is None else (None, limits[0])
        if len(bounds) != 2 or any(b != b for b in limits) or (len(limits) == 2 and limits[0] > limits[1]):
            raise UsageError(
                f"limits: {self.name} has {' '.join(f'{b:g}' for b in limits) or 'nothing'}; expected the lowest and "
                f"the highest {self.unit} that pass, such as {self.own_limits()}"
            )
        return replace(self, low=bounds[0], high=bounds[1])

    def own_limits(self) -> str:
        """The limits as they are given on the command line."""
        return " ".join(f"{b:g}" for b in (self.low, self.high) if b is not None) or "0 1"


def with_limits(rules: Iterable[Rule], limits: Limits) -> tuple[Rule, ...]:
    """Some rules, some of them with other limits.

    Raises:
        UsageError: a limit is of none of the rules, or is none.
    """
    by_name = {rule.name: rule for rule in rules}
    for name, bounds in limits.items():
        if name not in by_name:
            raise UsageError(f"limits: no rule {name!r} is applied; {nearest(name, by_name)}")
        by_name[name] = by_name[name].limited(bounds)
    return tuple(by_name.values())
