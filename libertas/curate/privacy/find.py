"""Corpora -> redactions: where personal data stands in every document, and what shall stand there instead.

Each text is searched once for each family of patterns, by something fast (a character, the first digits of a run), and
what that finds is judged closely: check digits, ranges of numbers, what stands before and after. Time is linear. The
table `cuts` has the spans, `mix` applies them, and nothing that is written holds what was found.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from libertas.corpus import Corpus, Piece
from libertas.curate.privacy import keys, national, network, payment
from libertas.curate.privacy.config import SHORTEST_KEY, RedactConfig
from libertas.curate.privacy.phones import phones
from libertas.curate.privacy.replacement import placeholder, pseudonym
from libertas.curate.privacy.spans import PRIVATE_KINDS, PrivateSpan, merged_spans, number_runs
from libertas.curate.sidecar import (
    CUTS,
    CUTS_SCHEMA,
    Tables,
    read_sidecar,
    require_distinct,
    rows_of,
    write_sidecars,
)
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft

FOUND = "found"
FOUND_SCHEMA = pa.schema([("component", pa.string()), ("rule", pa.string()), ("spans", pa.int64())])
"""How many spans each piece of a shard has, by component and kind."""
UNNAMED = "documents"
"""Component of documents that name none."""


def find_personal(
    text: str, kinds: Collection[str] = PRIVATE_KINDS, private_addresses: bool = False
) -> list[PrivateSpan]:
    """Personal data in a text, in order and without overlaps.

    Args:
        text: of any length, language and script.
        kinds: what to look for, of `PRIVATE_KINDS`.
        private_addresses: also IP addresses that many networks share or that are kept for documentation.
    """
    return merged_spans(span for span in _candidates(text, kinds, private_addresses) if span.kind in kinds)


def _candidates(text: str, kinds: Collection[str], private_addresses: bool) -> Iterator[PrivateSpan]:
    if "key" in kinds:
        yield from keys.keys(text)
    if "email" in kinds:
        yield from network.emails(text)
    if "ip" in kinds or "mac" in kinds:
        yield from network.colon_addresses(text, private_addresses)
    if "mac" in kinds:
        yield from network.mac_addresses(text)
    if "crypto" in kinds:
        yield from payment.crypto_addresses(text)
    if "iban" in kinds or "national_id" in kinds:
        for match in national.LETTER_FIRST.finditer(text):
            yield from national.lettered_number(text, match)
            yield from payment.ibans(text, match.start())
    for run in number_runs(text):
        yield from network.ipv4_addresses(run, private_addresses)
        yield from payment.cards(run)
        yield from national.national_numbers(run)
        yield from phones(run)


def redact(config: RedactConfig) -> Path:
    """Find what the config describes, or find it found; returns the directory.

    Raises:
        UsageError: an input is no corpus, two of them hold the same document, or the key is too short.
    """
    key = _secret(config.key) if config.style == "pseudonym" and config.key else None
    inputs = {"corpus": config.corpora} | ({"key": (config.key,)} if key and config.key else {})
    draft = Draft(kind="redactions", out=config.out, config=config, inputs=inputs, code=__name__)
    corpora = [Corpus.open(path) for path in config.corpora]
    if draft.finished():
        return config.out
    require_distinct(corpora)
    with draft.build(resume=True) as folder:
        judge = partial(
            find_in_piece, kinds=tuple(sorted(config.kinds)), private_addresses=config.private_addresses, key=key
        )
        write_sidecars(
            corpora,
            folder,
            judge,
            {CUTS: CUTS_SCHEMA, FOUND: FOUND_SCHEMA},
            title="Redacting",
            workers=config.workers,
            engine=config.engine,
        )
        _count(draft, corpora, folder)
    return config.out


def find_in_piece(piece: Piece, kinds: tuple[str, ...], private_addresses: bool, key: bytes | None) -> Tables:
    """Rows of `cuts` for the documents of a piece, and of `found`, how many there are."""
    rows = []
    found: Counter[tuple[str, str]] = Counter()
    for number, document in enumerate(piece.read(), piece.first):
        component = str(document.meta.get("component", UNNAMED))
        for span in find_personal(document.text, kinds, private_addresses):
            value = document.text[span.start : span.end]
            found[component, span.kind] += 1
            rows.append(
                {
                    "number": number,
                    "document_id": document.id,
                    "start": span.start,
                    "end": span.end,
                    "replacement": pseudonym(span, value, key) if key else placeholder(span.kind),
                    "rule": span.kind,
                    "detail": span.detail,
                }
            )
    counts = [{"component": name, "rule": kind, "spans": n} for (name, kind), n in sorted(found.items())]
    return {CUTS: rows_of(CUTS_SCHEMA, rows), FOUND: rows_of(FOUND_SCHEMA, counts)}


def _secret(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path} is no file; expected a key; make one with `head -c 32 /dev/urandom > {path}`")
    secret = path.read_bytes()
    if len(secret) < SHORTEST_KEY:
        raise UsageError(
            f"{path} has {len(secret)} bytes; expected a key of {SHORTEST_KEY} or more; "
            f"make one with `head -c 32 /dev/urandom > {path}`"
        )
    return blake3(secret).digest()


def _count(draft: Draft, corpora: Sequence[Corpus], folder: Path) -> None:
    """Spans by kind and component, and documents that have any."""
    by_component: dict[str, Counter[str]] = {}
    touched = 0
    for number, corpus in enumerate(corpora):
        for shard in range(len(corpus.shards)):
            cuts, found = (read_sidecar(folder, table, number, shard) for table in (CUTS, FOUND))
            assert cuts is not None, "a side-car is missing"
            assert found is not None, "a side-car is missing"
            assert sum(found["spans"].to_pylist()) == len(cuts), "a span vanished"
            touched += pc.count_distinct(cuts["number"]).as_py()
            for row in found.to_pylist():
                by_component.setdefault(row["component"], Counter())[row["rule"]] += row["spans"]
    documents = sum(map(len, corpora))
    draft.counts.update(
        documents={"in": documents, "out": documents, "dropped": 0, "with_redactions": touched},
        redactions=dict(sorted(sum(by_component.values(), Counter()).items())),
        components={name: dict(sorted(counts.items())) for name, counts in sorted(by_component.items())},
    )
