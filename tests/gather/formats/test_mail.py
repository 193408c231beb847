"""Mailboxes as messages, and what their senders wrote."""

import gzip
from pathlib import Path

import pytest

from libertas.document import Drop
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.extracted import PLAIN_TEXT, Extracted
from libertas.gather.formats.mail import MESSAGE, MOST_PARTS, mbox_parts, own_words, read_message
from libertas.gather.formats.part import Part
from libertas.gather.pack import pack
from libertas.lineage.manifest import read_manifest

POSTMARK = b"From ann@example.org  Thu Jan  1 10:00:00 2004\n"
REPLY = b"""From: ann at example.org (Ann =?iso-8859-1?Q?M=FCller?=)
Date: Thu, 1 Jan 2004 23:30:00 -0500
Subject: Re: AW: [talk] =?utf-8?b?R3LDvMOfZQ==?=
List-Id: Talk <talk.example.org>
X-No-Archive: Yes
Content-Type: text/plain; charset=iso-8859-1

Hello,

On Wed, Dec 31, 2003 at 11:00 PM, Bob <bob@example.org>
wrote:
> old words
>> older ones

I agr\xe9e.

--\x20
Ann
_______________________________________________
Talk mailing list
"""


def read(body: bytes) -> Extracted:
    found = read_message(body, PLAIN_TEXT)
    assert isinstance(found, Extracted)
    return found


def mailbox(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "a.mbox"
    path.write_bytes(data)
    return path


def test_a_message_is_what_its_sender_wrote() -> None:
    found = read(REPLY)
    assert (found.text, found.title) == ("Hello,\n\nI agrée.", "[talk] Grüße")
    quoted = len("On Wed, Dec 31, 2003 at 11:00 PM, Bob <bob@example.org>wrote:> old words>> older ones")
    assert found.meta == {
        "author": "Ann Müller",
        "published": "2004-01-01",
        "list": "talk.example.org",
        "quoted": round(quoted / (quoted + len(found.text)), 3),
        "opt_out": ["x-no-archive"],
    }


def test_a_mailbox_is_parted_at_postmarks_behind_empty_lines_only(tmp_path: Path) -> None:
    box = POSTMARK + b"Subject: a\n\none\n>From here on\n>>From there\n\nFrom the beginning it was not one.\n\n"
    box += POSTMARK + b"\n\n" + POSTMARK + b"Subject: b\n\ntwo\n" + POSTMARK
    assert list(mbox_parts(mailbox(tmp_path, box))) == [
        Part("1", MESSAGE, b"Subject: a\n\none\nFrom here on\n>From there\n\nFrom the beginning it was not one.\n\n"),
        Drop("mail", "empty message", 2),
        Part("3", MESSAGE, b"Subject: b\n\ntwo\n" + POSTMARK),
    ]


def test_a_file_without_a_postmark_is_no_message(tmp_path: Path) -> None:
    assert list(mbox_parts(mailbox(tmp_path, b"just words\n"))) == [Drop("mail", "no message", 11)]
    assert list(mbox_parts(mailbox(tmp_path, b""))) == []


def test_a_message_too_large_for_a_record_is_dropped_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.mail.PIECE_BYTES", 100)
    box = POSTMARK + b"\n" + b"x" * 500 + b"\n\n" + POSTMARK + b"\nsmall\n"
    found = list(mbox_parts(mailbox(tmp_path, box)))
    assert found == [Drop("mail", "too large for a record", len(POSTMARK) + 503), Part("2", MESSAGE, b"\nsmall\n")]


def test_a_compressed_mailbox_that_is_cut_off_says_so_and_keeps_what_came_before(tmp_path: Path) -> None:
    box = b"".join(POSTMARK + b"\nmessage %d %d\n\n" % (n, n * n) for n in range(9000))
    packed = gzip.compress(box)
    found = list(mbox_parts(mailbox(tmp_path, packed[: len(packed) // 2])))
    *whole, last = found
    assert isinstance(last, Drop)
    assert last.reason == "damaged mailbox"
    assert str(last.value).startswith(f"in message {len(whole) + 1}: ")
    assert whole == [Part(str(n + 1), MESSAGE, b"\nmessage %d %d\n\n" % (n, n * n)) for n in range(len(whole))]
    assert len(whole) > 1000


def test_html_is_read_where_there_is_no_plain_text() -> None:
    both = b"Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\n%s\n--x\n"
    both += b"Content-Type: text/html\n\n<p>from <b>html</b></p>\n--x--\n"
    assert read(both % b"from plain").text == "from plain"
    assert read(both % b" ").text == "from html"


def test_codings_and_attachments_are_told_apart() -> None:
    body = (
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; charset=utf-8\n"
        b"Content-Transfer-Encoding: base64\n\nR3LDvMOfZQ==\n--x\nContent-Type: text/plain\n"
        b"Content-Disposition: attachment; filename=a.txt\n\nattached\n--x\nContent-Type: text/plain; charset=utf-8\n"
        b"Content-Transfer-Encoding: quoted-printable\n\nsch=C3=B6n=\ne Tage\n--x--\n"
    )
    assert read(body).text == "Grüße\n\nschöne Tage"


def test_flowed_lines_are_put_together_again() -> None:
    head = b"Content-Type: text/plain; format=flowed%s\n\n"
    assert read(head % b"" + b"one \ntwo \nthree\n four\n").text == "one two three\nfour"
    assert read(head % b"; delsp=yes" + b"Donaudampf \nschiff\n").text == "Donaudampfschiff"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("mine\n-----Original Message-----\nFrom: b\nold", "mine"),
        ("Bob schrieb:\n> alt\nneu", "\nneu"),
        ("See this list:\n> quoted\nnew", "See this list:\n\nnew"),
        ("text\nYou received this message because you are subscribed to the list", "text"),
        ("a table\n" + "-" * 40 + "\nrow", "a table\n" + "-" * 40 + "\nrow"),
        ("x > y holds", "x > y holds"),
    ],
)
def test_quotations_and_footers_go_and_other_lines_stay(text: str, own: str) -> None:
    assert own_words(text)[0] == own


def test_addresses_never_become_authors() -> None:
    for sender in (b"ann@example.org", b"<ann@example.org>", b"ann at example.org", b'"ann@example.org" <a@b.c>'):
        assert "author" not in read(b"From: " + sender + b"\n\nwords").meta
    assert read(b'From: "Ann M." <a@b.c>\n\nwords').meta["author"] == "Ann M."


def test_messages_without_words_are_dropped_with_the_reason() -> None:
    def reason(body: bytes) -> str:
        found = read_message(body, PLAIN_TEXT)
        assert isinstance(found, Drop)
        return found.reason

    assert reason(b"Subject: a\n\n> only\n> theirs\n") == "only quotations"
    assert reason(b"Subject: a\n\n") == "no words in it"
    assert reason(b"Content-Type: image/png\n\nx") == "no text part"
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=a%d\n\n--a%d\n" % (n, n) for n in range(MOST_PARTS + 1))
    assert reason(nested) == "too many parts"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" * (MOST_PARTS - 1),
        b"\n" + b"> " * 200_000,
        b"From: " + b"(" * 100_000,
        b"Subject: " + b" =?utf-8?q?a?=" * 20_000,
        b"Subject: =?no-such-charset?q?=FF?= =?utf-8?b?*?=",
        b"\n" + b"_" * 200_000,
        b"\n" + (b"_" * 40 + b"\n") * 10_000,
        b"\n" + b"x wrote:\n> a\n" * 20_000,
        b"Date: " + b"1 " * 100_000,
        b"Date: Thu, 99 Jan 99999 99:99:99 +9999\n\nx",
        b"Content-Type: text/plain; charset=" + b"x" * 100_000 + b"\n\nx",
        b"Content-Transfer-Encoding: base64\n\n*****",
        bytes(range(256)) * 100,
    ],
)
def test_hostile_messages_are_read_or_dropped(body: bytes) -> None:
    found = read_message(body, PLAIN_TEXT)
    assert isinstance(found, Extracted | Drop)
    if isinstance(found, Extracted):
        found.text.encode()


def test_a_mailbox_becomes_documents(tmp_path: Path) -> None:
    box = POSTMARK + REPLY + b"\n" + POSTMARK + b"\n\n" + POSTMARK + b"Subject: b\n\nMore words.\n"
    archive = pack(PackConfig(paths=(str(mailbox(tmp_path, box)),), out=tmp_path / "p"))
    assert read_manifest(archive).counts["pieces"] == {"in": 3, "out": 2, "dropped": 1}
    corpus = gather(GatherConfig(archives=(archive,), out=tmp_path / "c", workers=1))
    found = [(d.meta["url"], d.meta.get("title"), d.text) for d in corpus]
    assert found == [
        ("urn:file:a.mbox#1", "[talk] Grüße", "Hello,\n\nI agrée."),
        ("urn:file:a.mbox#3", "b", "More words."),
    ]
