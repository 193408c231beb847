"""One record to a document, or to a drop with its reason; this is what worker processes run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libertas.document import Document, Drop, WarcRef, document_id
from libertas.engine import CRASHED
from libertas.errors import LibertasError
from libertas.gather import warc
from libertas.gather.ai_txt import is_ai_txt
from libertas.gather.extract import extract
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.language import language_meta
from libertas.gather.mathscore import RULE, is_mathematical, math_score
from libertas.gather.opt_out import opt_outs_of_headers

DOCUMENT_TYPES = frozenset({"response", "resource", "conversion"})
CODE = "code"
"""`meta.language` of program source: names and keywords look like any human language to a detector."""
CODE_TYPES = frozenset({"text/x-python"})
CUT_OFF = "cut off on the way"
LOST_ON_THE_WAY = frozenset({"disconnect", "time"})
"""WARC-Truncated of what ended at a place that nobody chose: the connection broke, or the server took too long. What
a crawler cut at a length it had chosen stays, with `meta.truncated`."""
DAMAGE = frozenset(
    {
        CUT_OFF,
        "truncated record",
        "damaged compression",
        "headers without end",
        "malformed record",
        "no Content-Length",
        "not a WARC record",
        "HTTP headers without end",
        "wrong Content-Length",
        "record too large",
        "member too large",
        "empty member",
        "cannot be fetched",
        "no pointer",
        "behind the end of the archive",
    }
)
"""Reasons of drops that say: the archive holds less than was meant to be in it."""
AGAIN = "same record again"
AI_TXT = "ai.txt"
"""What a site says of all its pages; they carry it in `meta.opt_out`."""
AI_TXT_UNREAD = "ai.txt without room to remember it"
VALUE_CHARACTERS = 200
"""Of an exception's words, so many stand in a drop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What makes a document out of a record, beside the record."""

    component: str = "web"
    mode: ReadMode = PLAIN_TEXT
    only: str = "everything"
    """Or `math`."""
    language_model: Path | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that became no document, by the address of its bytes."""

    record_id: str
    uri: str
    file: str
    offset: int
    drop: Drop

    def row(self) -> dict[str, Any]:
        """Its row in `drops.parquet`."""
        value = self.drop.value
        return {
            "record_id": self.record_id,
            "uri": self.uri,
            "file": self.file,
            "offset": self.offset,
            "rule": self.drop.rule,
            "reason": self.drop.reason,
            "value": None if value is None else str(value),
        }


def document_of(item: warc.Record | warc.Lost, recipe: Recipe) -> Document | Dropped:
    """What becomes of a record."""
    if isinstance(item, warc.Lost):
        return Dropped(item.record_id, item.uri, item.file, item.offset, item.drop)
    refused = _refusal(item)
    if refused is not None:
        return dropped(item, refused)
    try:
        found = extract(item.body, item.content_type, item.charset, recipe.mode, item.uri)
        if isinstance(found, Drop):
            return dropped(item, found)
        meta = _meta(item, found, recipe)
        unfit = _unfit_for_math(found.text, meta) if recipe.only == "math" else None
        if unfit is not None:
            return dropped(item, unfit)
    except (LibertasError, MemoryError):
        raise
    except Exception as error:  # one page in a billion must not end the work on the others
        return dropped(item, Drop("extract", CRASHED, f"{type(error).__name__}: {error}"[:VALUE_CHARACTERS]))
    return Document(document_id(item.ref.record_id, item.ref.payload_digest), found.text, meta)


def dropped(record: warc.Record, drop: Drop) -> Dropped:
    """A decision against a readable record."""
    return Dropped(record.ref.record_id, record.uri, record.ref.file, record.ref.offset, drop)


def dropped_again(document: Document) -> Dropped:
    """The decision against a document whose id an earlier one has."""
    ref = document.warc
    assert isinstance(ref, WarcRef), f"document {document.id} has no address"
    return Dropped(ref.record_id, document.meta["url"], ref.file, ref.offset, Drop("warc", AGAIN, document.id))


def _meta(item: warc.Record, found: Extracted, recipe: Recipe) -> dict[str, Any]:
    """What is known of a document; what the archive says goes before what the page says of itself."""
    is_code = item.content_type in CODE_TYPES or "programming_language" in found.meta
    language = {"language": CODE} if is_code else language_meta(found.text, recipe.language_model)
    said = dict(found.meta)
    if declared := said.pop("language", None):
        said["declared_language"] = declared
    optional = {
        "title": found.title,
        "date": item.date,
        "content_type": item.content_type,
        "truncated": item.truncated,
        "digest": item.digest_verdict,
    }
    if signals := sorted({*opt_outs_of_headers(item.headers, item.uri), *said.pop("opt_out", ())}):
        said["opt_out"] = signals
    known = {"url": item.uri, "component": recipe.component, **language}
    known |= {name: value for name, value in optional.items() if value}
    return {**known, **{k: v for k, v in said.items() if k not in known}, "warc": item.ref.to_json()}


def _unfit_for_math(text: str, meta: dict[str, Any]) -> Drop | None:
    """Why a document is no mathematics in English, as OpenWebMath has it, or None; its score goes into `meta`."""
    if meta["language"] != "en":
        return Drop(RULE, "not in English", meta["language"])
    meta["math_score"] = round(math_score(text), 4)
    return is_mathematical(text, int(meta.get("formulas", 0)), meta["math_score"])


def _refusal(record: warc.Record) -> Drop | None:
    """Why a record is not even looked at, or None."""
    if record.type not in DOCUMENT_TYPES:
        return Drop("warc", f"{record.type} record", record.type)
    if record.uri.startswith("metadata:"):
        return Drop("warc", "log of the crawler", record.uri)
    if record.uri.endswith("/robots.txt"):
        return Drop("warc", "robots.txt", record.uri)
    if record.type == "response" and record.status is None:
        return Drop("warc", "not an HTTP response", record.uri)
    if record.type == "response" and record.status != 200:
        return Drop("warc", "HTTP status", str(record.status))
    if record.truncated in LOST_ON_THE_WAY:
        return Drop("warc", CUT_OFF, record.truncated)
    if is_ai_txt(record.uri):
        return Drop("warc", AI_TXT, record.uri)
    return None
