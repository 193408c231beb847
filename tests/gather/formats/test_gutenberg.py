"""Books of Project Gutenberg without the license around them."""

import pytest

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.formats.gutenberg import read_gutenberg

BOOK = """\ufeffThe Project Gutenberg eBook of A Tale of
Two Lines, by Ann Writer

You may copy it under the terms at www.gutenberg.org/license.

Title: A Tale of
       Two Lines

Author: Ann Writer

Translator: Bob Other

Release Date: October 31, 1993 [eBook #1234]
                Most recently updated: May 1, 2020

Language: English

*** START OF THE PROJECT GUTENBERG EBOOK A TALE OF
TWO LINES ***

Produced by Many Volunteers and the Online
Distributed Proofreading Team

CHAPTER I

It was a _very_ long time ago that somebody had written of this, and
nobody who lived in the house by the river could remember it any more
than the river itself could remember the rain that had once fallen on
it.

[Illustration: The house.]

    Roses are red,
      Violets are not,
    So it is said.

[Pg 12]

The end of it came when all of them went away, as far as anyone could
tell.

*** END OF THE PROJECT GUTENBERG EBOOK A TALE OF TWO LINES ***

This file should be named 1234.txt. The license follows.
"""
TEXT = (
    "CHAPTER I\n\n"
    "It was a {}very{} long time ago that somebody had written of this, and nobody who lived in the house by the river "
    "could remember it any more than the river itself could remember the rain that had once fallen on it.\n\n"
    "The house.\n\n"
    "    Roses are red,\n      Violets are not,\n    So it is said.\n\n"
    "The end of it came when all of them went away, as far as anyone could tell."
)


def read(source: str | bytes, mode: ReadMode = PLAIN_TEXT) -> Extracted:
    found = read_gutenberg(source.encode() if isinstance(source, str) else source, mode)
    assert isinstance(found, Extracted)
    return found


def squeezed(text: str) -> list[list[str]]:
    return [block.split() for block in text.split("\n\n")]


def test_a_book_is_what_stands_between_the_markers_with_its_lines_joined() -> None:
    found = read(BOOK)
    assert squeezed(found.text) == squeezed(TEXT.format("", ""))
    assert [line.strip() for line in found.text.split("\n\n")[3].split("\n")] == [
        "Roses are red,",
        "Violets are not,",
        "So it is said.",
    ]
    assert found.title == "A Tale of Two Lines"
    assert found.meta == {
        "author": "Ann Writer",
        "translator": "Bob Other",
        "published": "1993-10-31",
        "language": "en",
        "site": "Project Gutenberg",
        "license": "https://www.gutenberg.org/license",
        "canonical": "https://www.gutenberg.org/ebooks/1234",
    }


def test_markdown_keeps_the_emphasis() -> None:
    assert squeezed(read(BOOK, ReadMode(markdown=True)).text) == squeezed(TEXT.format("_", "_"))


def test_every_line_end_reads_the_same() -> None:
    assert read(BOOK.replace("\n", "\r\n")) == read(BOOK) == read(BOOK.replace("\n", "\r"))


def test_the_charset_that_the_header_names_is_used() -> None:
    body = "Character set encoding: ISO-8859-1\n\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\nGrüße\n"
    assert read(body.encode("latin-1")).text == "Grüße"


def test_the_markers_of_the_nineties_are_known() -> None:
    body = (
        "Header\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\nWords.\n\nMore words.\n\n\n\n"
        "End of the Project Gutenberg Etext of X\n\nnot this\n"
    )
    assert read(body).text == "Words.\n\nMore words."


def test_a_text_without_markers_is_taken_whole() -> None:
    assert read("Produced by nobody\n\nWords.\n") == Extracted("Produced by nobody\n\nWords.", "", {})


def test_a_year_and_a_month_are_a_date_and_a_season_is_none() -> None:
    head = "Release Date: {}\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\nWords.\n"
    assert read(head.format("June, 1993 [eBook #5]")).meta["published"] == "1993-06"
    assert read(head.format("2004-05-01")).meta["published"] == "2004-05-01"
    assert "published" not in read(head.format("Spring of 1993")).meta


def test_a_book_in_several_languages_gets_no_label() -> None:
    head = "Language: English and French\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\nWords.\n"
    assert "language" not in read(head).meta


def test_nothing_between_the_markers_is_a_drop() -> None:
    body = b"*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\nLicense\n"
    assert read_gutenberg(body, PLAIN_TEXT) == Drop("gutenberg", "nothing between the markers", len(body))


@pytest.mark.parametrize(
    "line",
    [
        "*" * 100_000,
        "[Illustration: " * 10_000,
        "_a" * 100_000,
        "_" * 100_000,
        "Title: \n  x\n" * 20_000,
        " \n" * 100_000,
        "[ebook #" * 20_000,
        "\n \t" * 60_000,
        "*** START OF THE PROJECT GUTENBERG \n" * 20_000,
        "Release Date:" + " ," * 50_000,
    ],
)
def test_hostile_lines_are_read(line: str) -> None:
    body = f"{line}\n\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n{line}\n\nThe words.\n"
    assert read(body).text.endswith("The words.")
