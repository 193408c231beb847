"""Mailboxes (mbox) and messages: what a sender wrote, without what is quoted, signed or added by a mailing list.

Formats: mbox, RFC 4155 (with `>From ` as qmail's mbox(5) quotes it); messages, RFC 5322 and MIME, RFC 2045 to 2049;
`format=flowed`, RFC 3676. Addresses do not go into `meta`; in texts and headers they stay for later stages to judge.
"""

import email
import email.policy
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.formats.containers import BROKEN_STREAM, PIECE_BYTES, decompressed
from libertas.gather.formats.part import Part
from libertas.gather.normalize import decode, normalize
from libertas.gather.page import page_text

MESSAGE = "message/rfc822"
RULE = "mail"
POSTMARK = re.compile(rb"From \S.{0,900}?\b\d\d?:\d\d\b.{0,40}\b(?:19|20)\d\d\b")
"""The line above each message: sender and date."""
QUOTED_POSTMARK = re.compile(rb"^>(>*From )", re.MULTILINE)
MOST_PARTS = 200
"""A message of more MIME parts, side by side or nested, is a digest of attachments or an attack on parsers."""
QUOTED = re.compile(r" ?[A-Za-z]{0,3}[>|](?=[\s>|]|$|[^\s>|]{0,80}\s)")
ATTRIBUTION = re.compile(
    r"(?:wrote|writes|said|schrieb|schreibt|écrit|escribió|escreveu|scritto|schreef|skrev|napisał|пишет|писал|写道)\b"
    r"|@|\d{1,2}:\d\d|\b(?:19|20)\d\d\b"
)
"""The line above a quotation ends in a colon and says who wrote, or when."""
FORWARDED = re.compile(
    r"-{2,10} ?(?:Original Message|Forwarded [Mm]essage|Ursprüngliche Nachricht|Message d'origine) ?-{2,10}$"
)
SIGNATURE = re.compile(r"--[ \xa0]?$")
FOOTER = re.compile(
    r"_{30,}$|-{30,}$|(?:To unsubscribe|You received this message because|List (?:archives|info):|Archives? are at)\b"
)
"""Where the footer of a mailing list begins, if one of its words comes soon after."""
FOOTER_WORDS = re.compile(r"mailing list|unsubscribe|listinfo|mailman|subscribed to", re.IGNORECASE)
FOOTER_LINES = 6
LONGEST_LINE = 200
LONGEST_HEADER = 10_000
"""Characters of a header that are read; taking coded words apart takes time that grows with their square."""
COMMENT_NAME = re.compile(r"\(([^()]{1,200})\)\s*$")
ADDRESS = re.compile(r"<[^<>]{0,998}>|\S{1,500}(?:@| at )\S{1,500}")
REPLY = re.compile(r"^(?:(?:re|aw|fwd?|wg|sv|antw|tr)(?:\[\d{1,3}\])?:\s{0,9}){1,20}", re.IGNORECASE)


def mbox_parts(path: Path) -> Iterator[Part | Drop]:
    """The messages of a mailbox, numbered from 1; a line `From …` with a time begins one, behind an empty line."""
    number, lines, size = 0, list[bytes](), 0
    blank = True
    try:
        with decompressed(path) as stream:
            while line := stream.readline(PIECE_BYTES):
                if blank and POSTMARK.match(line):
                    yield from _message(number, lines, size)
                    number, lines, size = number + 1, [], 0
                elif size <= PIECE_BYTES:  # of what is too large the beginning is enough, to say so
                    lines.append(line)
                size += len(line)
                blank = not line.strip()
    except BROKEN_STREAM as error:
        yield Drop(RULE, "damaged mailbox", f"in message {number}: {error}")
        return  # what was read of that message is not passed for a whole one
    yield from _message(number, lines, size)


def _message(number: int, lines: list[bytes], size: int) -> Iterator[Part | Drop]:
    body = b"".join(lines)
    if number == 0:
        if body.strip():
            yield Drop(RULE, "no message", size)
    elif size > PIECE_BYTES:
        yield Drop(RULE, "too large for a record", size)
    elif not body.strip():
        yield Drop(RULE, "empty message", number)
    else:
        yield Part(str(number), MESSAGE, QUOTED_POSTMARK.sub(rb"\1", body))


def read_message(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """What the sender of a message wrote; `meta.quoted` is the share of its characters that were quoted."""
    if len(re.findall(rb"(?im)^content-type:[ \t]*(?:multipart|message)/", body)) > MOST_PARTS:
        return Drop(RULE, "too many parts", MOST_PARTS)
    message = email.message_from_bytes(body, policy=email.policy.compat32)
    found = _text_of(message, mode)
    if found is None:
        return Drop(RULE, "no text part", message.get_content_type())
    said, quoted = own_words(found)
    title = REPLY.sub("", _header(message, "Subject"))
    text = normalize(said)
    if not text:
        return Drop(RULE, "only quotations" if quoted else "no words in it", len(found))
    share = round(quoted / max(1, quoted + len(text)), 3)
    facts: dict[str, Any] = {
        "author": _name(_header(message, "From")),
        "published": _date(message),
        "list": next(iter(re.findall(r"<([^<>\s@]{1,200})>", _header(message, "List-Id"))), ""),
        "quoted": share,
        "opt_out": ["x-no-archive"] if _header(message, "X-No-Archive").strip().lower() == "yes" else [],
    }
    return Extracted(text, title, {k: v for k, v in facts.items() if v})


def _text_of(message: Message, mode: ReadMode) -> str | None:
    """The plain text of a message, or that of its HTML."""
    plain: list[str] = []
    pages: list[str] = []
    for part in message.walk():
        kind, place = part.get_content_type(), str(part.get("Content-Disposition", "")).strip().lower()
        if kind not in ("text/plain", "text/html") or place.startswith("attachment"):
            continue
        payload = part.get_payload(decode=True)
        raw = payload if isinstance(payload, bytes) else b""
        text = decode(raw, _parameter(part, "charset"), html=kind == "text/html")
        if kind == "text/html":
            pages.append(text)
        else:
            flowed = _parameter(part, "format") == "flowed"
            plain.append(_unflowed(text, _parameter(part, "delsp") == "yes") if flowed else text)
    if any(text.strip() for text in plain) or not pages:
        return "\n\n".join(plain) if plain else None
    whole = ReadMode(markdown=mode.markdown, links=mode.links, everything=True)
    return "\n\n".join(page_text(page, whole).text for page in pages)


def _parameter(part: Message, name: str) -> str:
    """A parameter of the media type in lower case; senders put anything there."""
    found = re.search(
        rf"{name}\s{{0,9}}=\s{{0,9}}[\"']?([\w.:+-]{{1,60}})", str(part.get("Content-Type", "")), re.IGNORECASE
    )
    return found[1].lower() if found else ""


def _unflowed(text: str, deleted_space: bool) -> str:
    """Lines put together that the sender's program broke (RFC 3676, 4)."""
    parts: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        line = line[1:] if line.startswith(" ") else line
        if line.endswith(" ") and line != "-- " and not line.startswith(">"):
            parts.append(line[:-1] if deleted_space else line)
        else:
            parts.append(line + "\n")
    return "".join(parts)


def own_words(text: str) -> tuple[str, int]:
    """A message without quotations, signature and footer, and how many characters were quoted."""
    lines = [line.rstrip() if not SIGNATURE.match(line) else line for line in text.replace("\r\n", "\n").split("\n")]
    end = _end_of_words(lines)
    kept: list[str] = []
    quoted = 0
    for number, line in enumerate(lines[:end]):
        if FORWARDED.match(line):
            quoted += sum(map(len, lines[number:end]))
            break
        if QUOTED.match(line):
            if kept and kept[-1] is not QUOTATION:
                quoted += _take_attribution(kept)
                kept.append(QUOTATION)
            elif not kept:
                kept.append(QUOTATION)
            quoted += len(line)
        elif line or kept[-1:] != [QUOTATION]:
            kept.append(line)
    return "\n".join("" if line is QUOTATION else line for line in kept), quoted


QUOTATION = "\x00"
"""Stands where lines were quoted."""


def _end_of_words(lines: list[str]) -> int:
    """Where the signature or the footer of a list begins."""
    for number, line in enumerate(lines):
        if SIGNATURE.match(line):
            return number
        if FOOTER.match(line) and FOOTER_WORDS.search("\n".join(lines[number : number + FOOTER_LINES])):
            return number
    return len(lines)


def _take_attribution(kept: list[str]) -> int:
    """Take off who wrote what is quoted below; returns its characters."""
    while kept and not kept[-1]:
        kept.pop()
    if not (kept and kept[-1].endswith(":") and len(kept[-1]) < LONGEST_LINE):
        return 0
    above = kept[-2] if len(kept) > 1 else ""
    broken = 0 < len(above) < LONGEST_LINE and above[-1] not in ".!?:" and ATTRIBUTION.search(above)
    n = 2 if broken else 1 if ATTRIBUTION.search(kept[-1]) else 0
    taken = sum(map(len, kept[len(kept) - n :]))
    del kept[len(kept) - n :]
    return taken


def _header(message: Message, name: str) -> str:
    """A header as text on one line; where its coding is damaged, as it stands."""
    raw = message.get(name)
    if raw is None:
        return ""
    try:
        pieces = decode_header(raw[:LONGEST_HEADER] if isinstance(raw, str) else raw)
    except (ValueError, email.errors.MessageError):
        pieces = [(str(raw), None)]
    texts = [
        decode(p if isinstance(p, bytes) else p.encode("utf-8", "surrogateescape"), charset, html=False)
        for p, charset in pieces
    ]
    return " ".join(normalize("".join(texts)).split())


def _name(sender: str) -> str:
    """The name of a sender, never the address."""
    comment = COMMENT_NAME.search(sender[-300:])
    name = comment[1] if comment else ADDRESS.sub("", sender[:1000])
    name = name.strip(" \"'<>,;")
    return "" if "@" in name or " at " in name else name


def _date(message: Message) -> str:
    """Day on which the message was sent, as the sender's clock had it, or empty."""
    try:
        return parsedate_to_datetime(str(message.get("Date", ""))).date().isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
