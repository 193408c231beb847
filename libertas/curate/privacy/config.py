"""What `libertas redact` can be told."""

from dataclasses import dataclass
from pathlib import Path

from libertas.curate.privacy.spans import PRIVATE_KINDS
from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution
from libertas.spelling import nearest

STYLES = ("placeholder", "pseudonym")
SHORTEST_KEY = 16
"""Bytes; RFC 2104 calls keys shorter than the hash's output weak, and this is half of it."""


@dataclass(frozen=True, kw_only=True)
class RedactConfig:
    """Find personal data in corpora: as spans beside the text, for `mix` to replace."""

    corpora: tuple[Path, ...]
    """Corpora made by `libertas gather`."""
    out: Path
    """Directory of the redactions."""
    kinds: tuple[str, ...] = PRIVATE_KINDS
    """What to look for."""
    style: str = "placeholder"
    """`placeholder` writes `<EMAIL>`; `pseudonym` something of the same shape that nobody has, the same for equal
    values (needs `key`)."""
    key: Path | None = None
    """File of 16 or more secret bytes that pseudonyms are made with; whoever has it can test a guess."""
    private_addresses: bool = False
    """Find IP addresses of private, reserved and documentation ranges as well."""
    workers: int = execution(2)
    """Processes that read text at the same time."""
    engine: str = execution("local")
    """`local`, or `ray` for a task per shard on a cluster."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.corpora:
            raise UsageError("corpora is empty; expected at least one corpus to redact: make it with `libertas gather`")
        for corpus in self.corpora:
            if self.corpora.count(corpus) > 1:
                raise UsageError(f"corpora names {corpus} twice; name each corpus once")
        if not self.kinds:
            raise UsageError(f"kinds is empty; expected one or more of {', '.join(PRIVATE_KINDS)}")
        for kind in self.kinds:
            if kind not in PRIVATE_KINDS:
                raise UsageError(f"kinds: there is no kind {kind!r}; {nearest(kind, PRIVATE_KINDS)}")
        for name, allowed in (("style", STYLES), ("engine", ("local", "ray"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected {' or '.join(allowed)}")
        if self.style == "pseudonym" and self.key is None:
            raise UsageError(
                "style is 'pseudonym' without a key; expected a file of secret bytes; "
                "make one with `head -c 32 /dev/urandom > key`, keep it, and give it with --key"
            )
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more processes")
