"""Dumps of Stack Exchange as questions with their answers."""

import bz2
from pathlib import Path

import orjson
import pytest

from libertas.document import Drop
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.extracted import PLAIN_TEXT, Extracted
from libertas.gather.formats.part import Part
from libertas.gather.formats.stackexchange import STACKEXCHANGE_QUESTION, read_stackexchange, stackexchange_parts
from libertas.gather.pack import pack
from libertas.lineage.manifest import read_manifest

ROWS = (
    '<row Id="2" PostTypeId="2" ParentId="1" Score="5" CreationDate="2010-01-02T00:00:00.000" OwnerUserId="7" '
    'Body="&lt;p&gt;low&lt;/p&gt;" />\n',
    '<row Id="1" PostTypeId="1" AcceptedAnswerId="4" Title="Why &amp; how?" Tags="&lt;a&gt;&lt;b-c&gt;" Score="3" '
    'CreationDate="2010-01-01T00:00:00.000" Body="&lt;p&gt;Q &quot; Id=&quot;9&quot;&lt;/p&gt;" '
    'ContentLicense="CC BY-SA 2.5" OwnerDisplayName="Zoe"/>\n',
    '<row Id="3" PostTypeId="2" ParentId="1" Score="9" CreationDate="2012-01-02T00:00:00.000" '
    'Body="&lt;p&gt;high&lt;/p&gt;" />\n',
    '<row Id="4" PostTypeId="2" ParentId="1" Score="-1" CreationDate="2019-01-02T00:00:00.000" '
    'Body="&lt;p&gt;right&lt;/p&gt;" />\n',
    '<row Id="5" PostTypeId="2" ParentId="99" Score="1" Body="&lt;p&gt;orphan&lt;/p&gt;" />\n',
    '<row Id="6" PostTypeId="5" Body="x" />\n',
    '<row Id="7" PostTypeId="2\n',
)
USERS = '<users>\n<row Id="7" DisplayName="Ann"/>\n<row Id="8\n</users>'


def posts(*rows: str) -> bytes:
    return ('\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "".join(rows) + "</posts>\n").encode()


def dump(tmp_path: Path, data: bytes, site: str = "math.stackexchange.com") -> Path:
    folder = tmp_path / site
    folder.mkdir(exist_ok=True)
    (folder / "Posts.xml").write_bytes(data)
    (folder / "Users.xml").write_text(USERS)
    return folder / "Posts.xml"


def test_a_question_comes_with_its_answers_the_accepted_one_first_and_then_by_score(tmp_path: Path) -> None:
    part, *drops = stackexchange_parts(dump(tmp_path, posts(*ROWS)))
    assert isinstance(part, Part)
    assert (part.name, part.content_type) == ("1", STACKEXCHANGE_QUESTION)
    assert part.url == "https://math.stackexchange.com/questions/1"
    question = {"score": 3, "author": "Zoe", "date": "2010-01-01T00:00:00.000", "license": "CC-BY-SA-2.5"}
    assert orjson.loads(part.body) == {
        "title": "Why & how?",
        "tags": ["a", "b-c"],
        "site": "math.stackexchange.com",
        "posts": [
            question | {"body": '<p>Q " Id="9"</p>'},
            {"score": -1, "date": "2019-01-02T00:00:00.000", "license": "CC-BY-SA-4.0", "body": "<p>right</p>"}
            | {"accepted": True},
            {"score": 9, "date": "2012-01-02T00:00:00.000", "license": "CC-BY-SA-3.0", "body": "<p>high</p>"},
            {"score": 5, "author": "Ann", "date": "2010-01-02T00:00:00.000", "license": "CC-BY-SA-2.5"}
            | {"body": "<p>low</p>"},
        ],
    }
    assert drops == [
        Drop("stackexchange", "neither question nor answer", "5"),
        Drop("stackexchange", "malformed row", 9),
        Drop("stackexchange", "answer without its question", 5),
    ]


def test_a_question_reads_as_a_text_with_its_facts(tmp_path: Path) -> None:
    part = next(stackexchange_parts(dump(tmp_path, posts(*ROWS))))
    assert isinstance(part, Part)
    assert read_stackexchange(part.body, PLAIN_TEXT) == Extracted(
        'Why & how?\n\nQ " Id="9"\n\nAnswer:\n\nright\n\nAnswer:\n\nhigh\n\nAnswer:\n\nlow',
        "Why & how?",
        {
            "author": ["Zoe", "Ann"],
            "published": "2010-01-01",
            "license": "CC-BY-SA-2.5 AND CC-BY-SA-3.0 AND CC-BY-SA-4.0",
            "site": "math.stackexchange.com",
            "tags": ["a", "b-c"],
            "score": 3,
            "answers": 3,
            "accepted": True,
        },
    )


def test_a_question_without_words_is_dropped() -> None:
    body = orjson.dumps({"title": "T", "tags": [], "posts": [{"score": 0, "body": "<p> </p>"}]})
    assert read_stackexchange(body, PLAIN_TEXT) == Drop("stackexchange", "no words in it", 1)


def test_in_a_folder_that_is_no_site_pieces_have_no_address(tmp_path: Path) -> None:
    part = next(stackexchange_parts(dump(tmp_path, posts(*ROWS), site="stackexchange.com.evil.org")))
    assert isinstance(part, Part)
    assert part.url is None
    assert "site" not in orjson.loads(part.body)


def test_a_compressed_dump_gives_the_same_pieces_and_one_cut_off_says_so(tmp_path: Path) -> None:
    path = dump(tmp_path, posts(*ROWS))
    plain = list(stackexchange_parts(path))
    path.write_bytes(bz2.compress(posts(*ROWS)))
    assert list(stackexchange_parts(path)) == plain
    many = posts(*(f'<row Id="{n}" PostTypeId="1" Body="q {n * n}" />\n' for n in range(1, 30_000)))
    path.write_bytes(bz2.compress(many)[:-1000])
    found = list(stackexchange_parts(path))
    assert isinstance(found[-1], Drop)
    assert found[-1].reason == "damaged dump"
    assert sum(isinstance(f, Part) for f in found) > 1000


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("words\n", "no row"),
        ('<row Id="1" PostTypeId="1" Body="&b;" />\n', "malformed row"),
        ('<row Id="x" PostTypeId="1" Body="b" />\n', "malformed row"),
        (f'<row Id="{"9" * 5000}" PostTypeId="1" />\n', "malformed row"),
        ('<row Id="1" PostTypeId="2" />\n', "malformed row"),
        ('<row Id="1" />\n', "neither question nor answer"),
        ("<row>" * 10_000 + "\n", "malformed row"),
    ],
)
def test_each_bad_row_is_dropped_alone(row: str, reason: str, tmp_path: Path) -> None:
    good = '<row Id="50" PostTypeId="1" Body="q" />\n'
    bad, part = stackexchange_parts(dump(tmp_path, posts(row, good)))
    assert isinstance(bad, Drop)
    assert bad.reason == reason
    assert isinstance(part, Part)
    assert part.name == "50"


def test_an_entity_bomb_expands_to_nothing(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE posts [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>\n' + posts(
        '<row Id="1" PostTypeId="1" Body="&b;" />\n'
    )
    reasons = [f.reason for f in stackexchange_parts(dump(tmp_path, bomb)) if isinstance(f, Drop)]
    assert reasons == ["no row", "malformed row"]


def test_every_row_is_in_a_piece_or_dropped(tmp_path: Path) -> None:
    rows = [
        f'<row Id="{n}" PostTypeId="{n % 3}" ParentId="{n * 7 % 60}" Score="{n % 5 - 2}" Body="b{n}" />\n'
        for n in range(1, 200)
    ]
    found = list(stackexchange_parts(dump(tmp_path, posts(*rows))))
    inside = sum(len(orjson.loads(f.body)["posts"]) for f in found if isinstance(f, Part))
    assert inside + sum(isinstance(f, Drop) for f in found) == len(rows)


def test_a_dump_becomes_documents(tmp_path: Path) -> None:
    folder = dump(tmp_path, posts(*ROWS)).parent
    archive = pack(PackConfig(paths=(str(folder),), out=tmp_path / "p"))
    counts = read_manifest(archive).counts
    assert counts["files"] == {"in": 2, "out": 1, "dropped": 1}
    assert counts["pieces"] == {"in": 5, "out": 1, "dropped": 4}
    (document,) = gather(GatherConfig(archives=(archive,), out=tmp_path / "c", workers=1))
    assert document.meta["url"] == "https://math.stackexchange.com/questions/1"
    assert document.text.startswith("Why & how?\n\nQ")
    assert document.meta["license"] == "CC-BY-SA-2.5 AND CC-BY-SA-3.0 AND CC-BY-SA-4.0"
