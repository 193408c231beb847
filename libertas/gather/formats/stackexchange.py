"""Data dumps of Stack Exchange (`Posts.xml`): a piece for each question with its answers, the accepted one first.

A piece is a JSON object of the type `application/x-stackexchange+json`: `title`, `tags`, `site`, and `posts`, the
question and then its answers, each with its HTML `body` and where the dump says so `score`, `date`, `license`, `author`
and `accepted`. The files of a dump have one row in each line, and an answer may lie anywhere behind its question; so
the places of answers go into a temporary table on disk first, sorted by question, and memory stays small at any size.
Format: meta.stackexchange.com, question 2677.
"""

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import orjson

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.formats.containers import (
    BROKEN_STREAM,
    CODING_SUFFIXES,
    MAGIC,
    PIECE_BYTES,
    READ_BYTES,
    decompressed,
    numbered_lines,
)
from libertas.gather.formats.part import Part
from libertas.gather.page import page_text

STACKEXCHANGE_QUESTION = "application/x-stackexchange+json"
RULE = "stackexchange"
QUESTION, ANSWER = "1", "2"
"""PostTypeId; the others are descriptions of tags, elections and the like."""
SITE = re.compile(
    r"(?:[a-z0-9-]+\.)*stackexchange\.com|(?:[a-z]{2}\.|meta\.)?stackoverflow\.com"
    r"|(?:meta\.)?(?:superuser|serverfault|askubuntu|stackapps)\.com|(?:meta\.)?mathoverflow\.net"
)
"""Names that the folders of the dumps have: the site's own."""
ATTRIBUTE = re.compile(rb' (Id|PostTypeId|ParentId)="(\d{1,18})"')
"""Quotes inside a value are written `&quot;`, so this finds attributes only."""
TAGS = re.compile(r"[<|]([^<>|]+)(?=[>|])")
LICENSES = {"CC BY-SA 2.5": "CC-BY-SA-2.5", "CC BY-SA 3.0": "CC-BY-SA-3.0", "CC BY-SA 4.0": "CC-BY-SA-4.0"}
"""What the dump says, and SPDX."""
LICENSE_SINCE = (("2018-05-02", "CC-BY-SA-4.0"), ("2011-04-08", "CC-BY-SA-3.0"), ("", "CC-BY-SA-2.5"))
"""For dumps before 2020, which do not name it: the license by the day of a post (stackoverflow.com/help/licensing)."""


def stackexchange_parts(path: Path) -> Iterator[Part | Drop]:
    """The questions of a `Posts.xml` with their answers; names of authors come from `Users.xml` beside it, if any."""
    site = path.resolve().parent.name
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "posts.sqlite")) as table:
        table.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE;"
            "CREATE TABLE answers (question INTEGER, id INTEGER, place INTEGER, size INTEGER);"
            "CREATE TABLE questions (id INTEGER PRIMARY KEY); CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);"
        )
        if (users := users_beside(path)) is not None:
            _take_users(table, users)
        plain = Path(folder) / "posts.xml"
        damage = _unpacked(path, plain)
        plain = plain if plain.exists() else path
        with plain.open("rb") as rows, plain.open("rb") as answers:
            _take_places(table, rows)
            rows.seek(0)
            for number, line in numbered_lines(rows):
                if (row := _row(line, number)) is not None:
                    yield from _question(table, answers, row, site if SITE.fullmatch(site) else "")
        orphans = "SELECT id FROM answers WHERE question NOT IN (SELECT id FROM questions) ORDER BY id"
        for (answer,) in table.execute(orphans):
            yield Drop(RULE, "answer without its question", answer)
        if damage is not None:
            yield damage


def users_beside(posts: Path) -> Path | None:
    """The `Users.xml` in the folder of a `Posts.xml`, or None."""
    beside = (posts.with_name("Users.xml" + coding) for coding in ("", *sorted(CODING_SUFFIXES)))
    return next((path for path in beside if path.is_file()), None)


def _unpacked(path: Path, plain: Path) -> Drop | None:
    """Write a compressed dump out, because its answers are read in another order than they lie in."""
    with path.open("rb") as file:
        head = file.read(8)
    if not any(head.startswith(magic) for magic in MAGIC):
        return None
    with plain.open("wb") as out:
        try:
            with decompressed(path) as packed:
                while block := packed.read1(READ_BYTES):
                    out.write(block)
        except BROKEN_STREAM as error:
            return Drop(RULE, "damaged dump", str(error))
    return None


def _take_users(table: sqlite3.Connection, path: Path) -> None:
    """Names by number; a row that cannot be read names nobody."""
    try:
        with decompressed(path) as stream:
            rows = (_row(line, number) for number, line in numbered_lines(stream))
            found = ((_number(r.get("Id")), r.get("DisplayName")) for r in rows if isinstance(r, dict))
            table.executemany("INSERT OR REPLACE INTO users VALUES (?, ?)", (f for f in found if None not in f))
    except BROKEN_STREAM:
        pass


def _take_places(table: sqlite3.Connection, rows: BinaryIO) -> None:
    """Where the answers lie, and which questions there are."""
    place = 0
    while line := rows.readline(PIECE_BYTES):
        found = dict(ATTRIBUTE.findall(line)) if line.lstrip(b" \t")[:4] == b"<row" else {}
        kind = found.get(b"PostTypeId", b"").decode()
        if kind == ANSWER and b"Id" in found and b"ParentId" in found:
            row = (int(found[b"ParentId"]), int(found[b"Id"]), place, len(line))
            table.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", row)
        elif kind == QUESTION and b"Id" in found:
            table.execute("INSERT OR IGNORE INTO questions VALUES (?)", (int(found[b"Id"]),))
        place += len(line)
    table.execute("CREATE INDEX answers_by_question ON answers (question, id)")


def _row(line: bytes, number: int) -> dict[str, str] | Drop | None:
    """The attributes of a row; None for lines that frame the rows."""
    line = line.removeprefix(b"\xef\xbb\xbf").strip()
    if not line or line.startswith(b"<?xml") or re.fullmatch(rb"</?[a-z]{1,20}>", line[:30]):
        return None
    try:
        return dict(ElementTree.fromstring(line).attrib) if line.startswith(b"<row") else Drop(RULE, "no row", number)
    except ElementTree.ParseError:
        return Drop(RULE, "malformed row", number)


def _question(
    table: sqlite3.Connection, stream: BinaryIO, row: dict[str, str] | Drop, site: str
) -> Iterator[Part | Drop]:
    """What becomes of one row: a question takes its answers along, and an answer comes with its question."""
    if isinstance(row, Drop):
        yield row
        return
    kind, name = row.get("PostTypeId"), _number(row.get("Id"))
    if kind not in (QUESTION, ANSWER):
        yield Drop(RULE, "neither question nor answer", kind)
    elif name is None or (kind == ANSWER and _number(row.get("ParentId")) is None):
        yield Drop(RULE, "malformed row", row.get("Id"))
    elif kind == QUESTION:
        accepted = _number(row.get("AcceptedAnswerId"))
        answers = _answers(table, stream, name, accepted)
        if isinstance(answers, Drop):
            yield answers
            return
        facts: dict[str, Any] = {"title": row.get("Title", ""), "tags": TAGS.findall(row.get("Tags", ""))}
        facts |= ({"site": site} if site else {}) | {"posts": [_post(table, row), *answers]}
        yield Part(
            str(name), STACKEXCHANGE_QUESTION, orjson.dumps(facts), f"https://{site}/questions/{name}" if site else None
        )


def _answers(
    table: sqlite3.Connection, stream: BinaryIO, question: int, accepted: int | None
) -> list[dict[str, Any]] | Drop:
    """The answers to a question: the accepted one, then by score, then by age."""
    select = "SELECT place, size FROM answers WHERE question = ? ORDER BY id"
    places = table.execute(select, (question,)).fetchall()
    if sum(size for _, size in places) > PIECE_BYTES:
        return Drop(RULE, "too large for a record", question)
    found = []
    for place, size in places:
        stream.seek(place)
        answer = _row(stream.read(size).rstrip(b"\r\n"), place)
        if isinstance(answer, dict) and (name := _number(answer.get("Id"))) is not None:
            found.append((name != accepted, -_score(answer), name, answer))
        # one that cannot be read was told of when its own line was
    found.sort(key=lambda f: f[:3])
    return [_post(table, answer) | ({} if other else {"accepted": True}) for other, _, _, answer in found]


def _number(text: str | None) -> int | None:
    """A whole number that fits into the table, or None."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def _score(row: dict[str, str]) -> int:
    score = row.get("Score", "")
    return int(score) if re.fullmatch(r"-?\d{1,15}", score) else 0


def _post(table: sqlite3.Connection, row: dict[str, str]) -> dict[str, Any]:
    """What a piece holds of a question or an answer."""
    user = _number(row.get("OwnerUserId"))
    named = table.execute("SELECT name FROM users WHERE id = ?", (user,)).fetchone()
    date = row.get("CreationDate", "")
    since = next((license for day, license in LICENSE_SINCE if date >= day), "") if date else ""
    facts = {
        "author": named[0] if named else row.get("OwnerDisplayName"),
        "date": date,
        "license": LICENSES.get(row.get("ContentLicense", ""), row.get("ContentLicense")) or since,
    }
    return {"score": _score(row)} | {k: v for k, v in facts.items() if v} | {"body": row.get("Body", "")}


def read_stackexchange(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """A question and its answers, each below a line that says which it is."""
    thread = orjson.loads(body)
    posts = thread["posts"]
    whole = replace(mode, everything=True)
    texts = [page_text(post["body"], whole).text for post in posts]
    if not any(texts):
        return Drop(RULE, "no words in it", len(posts))
    title = thread["title"]
    parts = [f"# {title}" if mode.markdown and title else title, texts[0]]
    for text in filter(None, texts[1:]):
        parts += ["## Answer" if mode.markdown else "Answer:", text]
    facts = {
        "author": list(dict.fromkeys(post["author"] for post in posts if "author" in post)),
        "published": posts[0].get("date", "")[:10],
        "license": " AND ".join(sorted({post["license"] for post in posts if "license" in post})),
        "site": thread.get("site"),
        "tags": thread["tags"],
        "score": posts[0]["score"],
        "answers": len(posts) - 1,
    }
    meta = {k: v for k, v in facts.items() if v not in ("", None, [])}
    return Extracted("\n\n".join(filter(None, parts)), title, meta | ({"accepted": True} if _accepted(posts) else {}))


def _accepted(posts: list[dict[str, Any]]) -> bool:
    return any(post.get("accepted") for post in posts)
