"""From the bytes of a page to its text."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.document import Drop
from libertas.gather.extract import extract
from libertas.gather.extracted import Extracted
from libertas.gather.language import identify
from libertas.gather.normalize import UP_TO_MANY_MARKS, normalize

PARAGRAPH = "The quick brown fox jumps over the lazy dog while the other animals of the forest are looking at it. "


def text_of(body: str | bytes, charset: str | None = None, kind: str = "text/html") -> str:
    found = extract(body.encode() if isinstance(body, str) else body, kind, charset)
    assert isinstance(found, Extracted)
    return found.text


def test_a_page_gives_its_title_and_paragraphs_but_no_scripts() -> None:
    page = (
        f"<html><head><title> A\n title </title><script>var x</script></head><body><p>{PARAGRAPH}</p><p>Two</p></body>"
    )
    assert extract(page.encode(), "text/html", None) == Extracted(f"{PARAGRAPH.strip()}\n\nTwo", "A title")


def test_navigation_goes_where_there_is_enough_else() -> None:
    page = f"<html><body><nav><a href=/>Home</a></nav><main>{f'<p>{PARAGRAPH}</p>' * 5}</main></body></html>"
    assert text_of(page).split("\n\n") == [PARAGRAPH.strip()] * 5


def test_a_page_that_is_all_navigation_keeps_its_text() -> None:
    page = f"<html><body><nav><p>{PARAGRAPH * 3}</p></nav></body></html>"
    assert text_of(page) == (PARAGRAPH * 3).strip()


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("<p>größer als 1 Euro</p>".encode(), None),
        ("<p>größer als 1 Euro</p>".encode(), "iso-8859-1"),
        ("<p>größer als 1 Euro</p>".encode("latin-1"), "iso-8859-1"),
        ('<meta charset="windows-1252"><p>größer als 1 Euro</p>'.encode("cp1252"), None),
        ("<p>größer als 1 Euro</p>".encode("utf-16"), "utf-16"),
    ],
)
def test_text_is_decoded_as_it_is_and_then_as_it_is_declared(body: bytes, charset: str | None) -> None:
    assert text_of(body, charset) == "größer als 1 Euro"


def test_japanese_escapes_are_not_taken_for_utf_8() -> None:
    assert text_of("<p>日本語の文章です</p>".encode("iso-2022-jp"), "iso-2022-jp") == "日本語の文章です"


def test_program_source_is_left_as_it_is() -> None:
    source = "def f(x):\n    return x  \n\n\n\nprint(1)\n"
    assert text_of(source, kind="text/x-python") == source


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"", "text/html", "empty payload"),
        (b"  \n", "text/plain", "empty payload"),
        (b"\x89PNG", "image/png", "not text"),
        (b"a{}", "text/css", "not text"),
        (b"something", "", "not text"),
        (b"<html><body><script>x</script></body></html>", "text/html", "no text in it"),
    ],
)
def test_what_has_no_text_is_dropped_with_a_reason(body: bytes, kind: str, reason: str) -> None:
    found = extract(body, kind, None)
    assert isinstance(found, Drop)
    assert (found.rule, found.reason) == ("extract", reason)


def test_a_page_without_a_type_is_known_by_its_bytes() -> None:
    assert text_of("<!doctype html><html><p>Hello there</p></html>", kind="") == "Hello there"


def test_odd_spaces_and_invisible_characters_go_and_joiners_stay() -> None:
    assert normalize("a\u00a0b\u2009c\u200bd\ufeff\u00ad\r\ne \n\n\n\nf\ud800") == "a b cd\ne\n\nf"
    assert normalize("cafe\u0301") == "caf\u00e9"
    assert normalize("می\u200cخواهم") == "می\u200cخواهم"


@given(st.text())
def test_normal_text_is_stable_and_can_be_stored(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once.encode().decode() == once


@given(
    st.binary(max_size=300),
    st.sampled_from(["text/html", "text/plain", ""]),
    st.sampled_from([None, "utf-8", "x", "zlib", "utf-16"]),
)
def test_no_bytes_make_extraction_fail(body: bytes, kind: str, charset: str | None) -> None:
    found = extract(body, kind, charset)
    assert isinstance(found, Drop) or found.text.strip()


def test_a_hostile_tree_keeps_its_text_and_takes_no_quadratic_path() -> None:
    started = time.process_time()
    assert text_of("<html><body>" + "<div>" * 20_000 + f"<p>{PARAGRAPH}</p>") == PARAGRAPH.strip()
    assert time.process_time() - started < 15, "main-content detection takes 19 s for this page"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (PARAGRAPH * 3, "en"),
        (
            "Der schnelle braune Fuchs springt über den faulen Hund, während die Tiere des Waldes zusehen. ",
            "de",
        ),
        ("Le renard brun saute par-dessus le chien paresseux pendant que les animaux de la forêt le regardent. ", "fr"),
        ("xx", "und"),
    ],
)
def test_the_language_of_a_text_is_named(text: str, language: str) -> None:
    assert identify(text).language == language


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "body", ["a" + " " * 400_000 + "b", "a" + " \t\t" * 100_000 + "b", "a" + "\u0301\u0316" * 400_000]
)
def test_a_hostile_page_does_not_hold_the_reader(body: str) -> None:
    assert text_of(f"<html><body><pre>{body}</pre></body></html>")[0] in "aá"


@given(st.text(alphabet="ae\u0301\u0316\u0308\u09c7\u09be\u1100\u1161\u11a8\u2026. ", max_size=60))
def test_normalizing_in_pieces_is_normalizing(text: str) -> None:
    pieces = UP_TO_MANY_MARKS.findall(text)
    assert "".join(pieces) == text
    assert "".join(unicodedata.normalize("NFC", p) for p in pieces) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_utf_16_is_read_with_and_without_a_mark(encoding: str) -> None:
    text = text_of(f"<html><body><p>{PARAGRAPH * 3} Привет</p></body></html>".encode(encoding), "utf-16")
    assert text.endswith("Привет")
    assert "\0" not in text


def test_a_few_broken_letters_do_not_change_the_encoding_of_a_page() -> None:
    page = f"<html><body><p>{PARAGRAPH * 3} größer, schöner, weiß und süß, ähnlich wie Öl</p></body></html>".encode()
    assert "größer, schöner" in text_of(page * 3 + b"\xff")


def test_a_script_closed_at_once_does_not_swallow_an_xhtml_page() -> None:
    page = f'<?xml version="1.0"?><html><head><script src="a"/></head><body><p>{PARAGRAPH * 3}</p></body></html>'
    assert text_of(page, kind="application/xhtml+xml").startswith(PARAGRAPH[:20])


def test_private_use_characters_of_a_page_are_no_line_breaks() -> None:
    assert "\n" not in text_of(f"<p>{PARAGRAPH} \ue00a {PARAGRAPH} \ue000 {PARAGRAPH}</p>")
