"""The words every room shares: a document, the address of its bytes, and why it was dropped."""

from dataclasses import asdict, dataclass, field
from typing import Any

from libertas.lineage.fingerprint import digest


@dataclass(frozen=True, slots=True)
class WarcRef:
    """Address of one record: enough to read its bytes again and to know that they are the same bytes."""

    file: str
    """Name of the WARC file, without its folder; the lineage of the corpus says where it lies."""
    offset: int
    """First byte of the record, counted in the file as it lies on disk (compressed if the file is)."""
    length: int
    """Bytes the record occupies in that file."""
    record_id: str
    """WARC-Record-ID without angle brackets."""
    payload_digest: str
    """`b3:` hash of the payload: the body after HTTP headers, transfer and content coding are taken off."""

    def to_json(self) -> dict[str, Any]:
        """The reference as it stands in `meta.warc`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Document:
    """A text and where it comes from."""

    id: str
    """32 hexadecimal digits from the record id and the payload digest: better extraction does not change it."""
    text: str
    meta: dict[str, Any] = field(default_factory=dict)
    """url, source, component, language, date, license and `warc`; absent where unknown, never guessed."""

    @property
    def text_hash(self) -> str:
        """Hash of the text alone: two documents that share it are exact duplicates."""
        return digest(self.text.encode())

    @property
    def warc(self) -> WarcRef | None:
        """Where the bytes lie, or None for a document that did not come from an archive."""
        return WarcRef(**self.meta["warc"]) if "warc" in self.meta else None


@dataclass(frozen=True, slots=True)
class Drop:
    """A decision against a record or document: the rule that spoke, its reason, and the value it saw."""

    rule: str
    reason: str
    value: float | str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule said of one document; `reason` is None when the document may stay."""

    document_id: str
    rule: str
    reason: str | None
    value: float


def document_id(record_id: str, payload_digest: str) -> str:
    """Identity of a document: 128 bits over the record id and the payload digest, as hexadecimal digits."""
    return digest(f"{record_id}\n{payload_digest}".encode()).removeprefix("b3:")[:32]
