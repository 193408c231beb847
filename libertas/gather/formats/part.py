"""One piece of a container: what becomes a record of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A page of a dump, a message of a mailbox, a row of a table: what becomes a WARC record of its own."""

    name: str
    """Unique within the container and stable: it becomes the fragment of the record's address."""
    content_type: str
    body: bytes
    url: str | None = None
    """Where the piece is published, if the container says so; then this is the record's address."""
