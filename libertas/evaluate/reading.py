"""Readings: a protocol, and how its numbers are compared; all readings of a protocol come from the same passes."""

from collections.abc import Callable
from dataclasses import dataclass

from libertas.errors import UsageError
from libertas.evaluate.asking import PLAIN_ASKING, Asking
from libertas.evaluate.protocol import PROTOCOLS, Protocol, named_protocol
from libertas.lineage.fingerprint import canonical, digest
from libertas.spelling import nearest

TRUNCATION = "prompts longer than the model's context lose tokens at the left, and the record is marked"


@dataclass(frozen=True, slots=True)
class Compared:
    """One choice under one protocol, in numbers."""

    log_probability: float
    """Natural logarithm, summed over its tokens."""
    text: str
    """The choice, without the space that the protocol adds before it."""
    tokens: int
    after_cue: float = 0.0
    """Log-probability of the same tokens after the protocol's cue alone."""
    after_nothing: float = 0.0
    """Log-probability of the same tokens at the beginning of a text."""


NORMALIZATIONS: dict[str, tuple[str, Callable[[Compared], float]]] = {
    "none": ("the log-probability of the choice", lambda c: c.log_probability),
    "characters": ("divided by its characters (lm-eval's acc_norm)", lambda c: c.log_probability / len(c.text)),
    "bytes": ("divided by its UTF-8 bytes (lm-eval's acc_bytes)", lambda c: c.log_probability / len(c.text.encode())),
    "tokens": ("divided by its tokens", lambda c: c.log_probability / c.tokens),
    "pmi": ("less that after the cue alone (HELM, OLMES)", lambda c: c.log_probability - c.after_cue),
    "pmi-bare": (
        "less that at the beginning of a text (lm-eval's acc_mutual_info)",
        lambda c: c.log_probability - c.after_nothing,
    ),
}
"""What is compared between the choices of an item, by name: in words, and as a function."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A protocol, a normalization and a way to put them: what a score is a score under."""

    name: str
    protocol: Protocol
    normalization: str = "none"
    asking: Asking = PLAIN_ASKING

    @property
    def fingerprint(self) -> str:
        """Hash of what decides a score besides model and item."""
        return digest(canonical([self.protocol.fingerprint, self.normalization, self.asking.policies(), TRUNCATION]))

    def score(self, compared: Compared) -> float:
        """The number that is compared between choices."""
        return NORMALIZATIONS[self.normalization][1](compared)


DEFAULT_READINGS = (
    Reading("letters", PROTOCOLS["letters"]),
    Reading("text", PROTOCOLS["text"]),
    Reading("bytes", PROTOCOLS["text"], "bytes"),
)
"""What a score is measured under if nothing else is asked: the original MMLU's way, and two without letters."""


def reading_named(name: str) -> Reading:
    """A reading from its name, `PROTOCOL` or `PROTOCOL/NORMALIZATION`; `bytes` is short for `text/bytes`.

    Raises:
        UsageError: the protocol or the normalization is unknown.
    """
    known = {reading.name: reading for reading in DEFAULT_READINGS}
    if name in known:
        return known[name]
    protocol, _, how = name.partition("/")
    if how and how not in NORMALIZATIONS:
        raise UsageError(f"normalization is {how!r} in {name!r}; {nearest(how, NORMALIZATIONS)}")
    return Reading(name, named_protocol(protocol), how or "none")
