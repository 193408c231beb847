"""PDF files as texts, in reading order."""

from pathlib import Path

import pytest

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.formats.pdf import read_pdf

PROSE = (
    "alpha beta gamma delta epsilon zeta",
    "eta theta iota kappa lambda mu nu xi",
    "omicron pi rho sigma tau upsilon phi",
    "chi psi omega and then all the other",
    "words that a column of a page might",
    "hold when nobody has anything to say",
)
Drawn = tuple[float, float, float, str]
"""x, y, size, text."""


def pdf(*pages: list[Drawn], info: str = "") -> bytes:
    """A PDF with text in Helvetica, written by hand."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, page in enumerate(pages):
        drawn = " ".join(f"BT /F {size} Tf {x} {y} Td ({text}) Tj ET" for x, y, size, text in page)
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] "
            f"/Resources << /Font << /F 3 0 R >> >> /Contents {5 + 2 * n} 0 R >>"
        )
        objects.append(f"<< /Length {len(drawn.encode('latin-1'))} >>\nstream\n{drawn}\nendstream")
    objects.append(f"<< {info} >>")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return out + (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R /Info {size - 1} 0 R >>\n"
        f"startxref\n{len(out)}\n%%EOF\n"
    ).encode("latin-1")


def column(x: float, lines: tuple[str, ...], top: float = 700) -> list[Drawn]:
    return [(x, top - 12 * n, 10, line) for n, line in enumerate(lines)]


def read(body: bytes, mode: ReadMode = PLAIN_TEXT) -> Extracted:
    found = read_pdf(body, mode)
    assert isinstance(found, Extracted)
    return found


def real(folder: Path, name: str) -> Extracted:
    return read((folder / "documents" / name).read_bytes())


def in_order(text: str, *pieces: str) -> bool:
    places = [text.find(piece) for piece in pieces]
    return -1 not in places and places == sorted(places)


def test_lines_are_joined_to_paragraphs_and_the_file_says_who_wrote_it() -> None:
    page = [*column(50, PROSE), *column(50, ("Another paragraph.",), 600)]
    found = read(pdf(page, info="/Title (A  Title) /Author (Ann) /CreationDate (D:20240203101112Z)"))
    assert found == Extracted(
        " ".join(PROSE) + "\n\nAnother paragraph.", "A Title", {"author": "Ann", "created": "2024-02-03", "pages": 1}
    )


def test_columns_are_read_one_after_the_other_however_they_were_drawn() -> None:
    left, right = column(50, PROSE), column(320, tuple(line.upper() for line in PROSE))
    by_rows = [drawn for pair in zip(left, right, strict=True) for drawn in pair]
    title = [(50.0, 740.0, 20.0, "A title that runs across both of the columns")]
    text = " ".join(PROSE)
    expected = f"{title[0][3]}\n\n{text}\n\n{text.upper()}"
    for page in (title + by_rows, by_rows + title, right + left + title):
        assert read(pdf(page)).text == expected


def test_a_word_parted_at_the_end_of_a_line_is_whole_again() -> None:
    lines = (*PROSE[:2], "all of it was ordered as the conse-", "quence of what had been said before,", *PROSE[2:])
    assert "as the consequence of" in read(pdf(column(50, lines))).text


def test_headers_footers_and_page_numbers_go() -> None:
    def page(number: int) -> list[Drawn]:
        words = tuple(f"{line} {'abcde'[number]}" for line in PROSE)
        return [(50, 770, 10, "The Journal of Tests"), *column(50, words), (300, 30, 10, f"{number + 1}")]

    text = read(pdf(*map(page, range(5)))).text
    assert "Journal" not in text
    assert not any(char.isdecimal() for char in text)
    assert in_order(text, *(f"alpha beta gamma delta epsilon zeta {letter}" for letter in "abcde"))


def test_markdown_marks_what_is_drawn_larger() -> None:
    page = [(50.0, 740.0, 24.0, "Large"), *column(50, PROSE)]
    assert read(pdf(page), ReadMode(markdown=True)).text == "# Large\n\n" + " ".join(PROSE)


def test_pages_without_text_are_counted_and_a_file_of_them_is_dropped() -> None:
    assert read(pdf(column(50, PROSE), [])).meta == {"pages": 2, "pages_without_text": 1}
    assert read_pdf(pdf([], []), PLAIN_TEXT) == Drop("pdf", "no text layer", 2)


def test_what_is_too_large_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    body = pdf(column(50, PROSE), column(50, PROSE))
    for name, most, reason in (
        ("MOST_CHARACTERS", 20, "page too large"),
        ("MOST_PAGES", 1, "too many pages"),
        ("MOST_BYTES", 100, "larger than the cap"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"libertas.gather.formats.pdf.{name}", most)
            found = read_pdf(body, PLAIN_TEXT)
        assert isinstance(found, Drop)
        assert found.reason == reason


def test_what_is_no_pdf_is_damaged() -> None:
    for body in (b"", b"%PDF-1.4", b"words" * 100):
        found = read_pdf(body, PLAIN_TEXT)
        assert isinstance(found, Drop)
        assert found.reason == "damaged"


def test_a_page_that_cannot_be_loaded_is_counted_and_the_others_are_read() -> None:
    body = pdf(column(50, PROSE), column(50, ("lost",)))
    found = read(body.replace(b"6 0 obj\n<< /Type /Page ", b"6 0 obj\n(( /Type /Page "))
    assert found == Extracted(" ".join(PROSE), "", {"pages": 2, "pages_lost": 1})


def test_a_file_that_is_cut_off_or_altered_anywhere_is_read_or_dropped() -> None:
    body = pdf(column(50, PROSE[:2]), info="/Title (T)")
    for at in range(0, len(body), 5):
        altered = bytearray(body)
        altered[at] ^= 0x11
        for data in (body[:at], bytes(altered)):
            assert isinstance(read_pdf(data, PLAIN_TEXT), Extracted | Drop)


def test_characters_at_absurd_places_are_read() -> None:
    page: list[Drawn] = [
        (x, y, size, "word") for x in (-1e9, 0, 1e9) for y in (-1e9, 0, 1e9) for size in (0.0001, 10, 1e6)
    ]
    assert isinstance(read_pdf(pdf(page), PLAIN_TEXT), Extracted | Drop)
    scattered: list[Drawn] = [(n * 7919 % 600, n * 104729 % 800, 4 + n % 9, "x") for n in range(3000)]
    assert read(pdf(scattered)).text.count("x") == 3000


def test_two_real_columns_are_read_one_after_the_other(shared_data: Path) -> None:
    found = real(shared_data, "multicolumn.pdf")
    assert found.meta == {"created": "2024-01-03", "pages": 3}
    assert in_order(
        found.text,
        "Two-Column Document with Lorem Ipsum\n\nYour Name",
        "Abstract",
        "Lorem ipsum dolor sit amet, consectetuer adipiscing elit. Ut purus elit, vestibulum ut, placerat ac,",
        "Nam dui ligula, fringilla a, euismod sodales, sollicitudin vel, wisi.",
        "Table 1: EU Countries Information",
        "Austria\t8.9\t83,879\tVienna\tGerman",
    )


def test_arabic_is_read_in_the_order_of_its_letters(shared_data: Path) -> None:
    found = real(shared_data, "habibi.pdf")
    assert "حَبيبي" in found.text
    assert "habibi" in found.text


def test_a_file_with_a_password_is_encrypted(shared_data: Path) -> None:
    body = (shared_data / "documents" / "libreoffice-writer-password.pdf").read_bytes()
    found = read_pdf(body, PLAIN_TEXT)
    assert isinstance(found, Drop)
    assert found.reason == "encrypted"


def test_a_real_document_of_the_office_keeps_its_lines_and_its_table(shared_data: Path) -> None:
    found = real(shared_data, "google-doc-document.pdf")
    assert found.title == "PDF Example Document"
    assert found.text.startswith(
        "Example document\n\nBeautiful is better than ugly.\n\nExplicit is better than implicit."
    )
    assert "Currency\tRupia\tEUR (€)" in found.text


def test_sections_of_a_real_paper_come_in_order_without_hyphens(shared_data: Path) -> None:
    found = real(shared_data, "pdflatex-outline.pdf")
    names = ("Foo", "Bar", "Baz") * 3
    assert found.meta["pages"] == 4
    assert in_order(found.text, *(f"\n\n{n} {name}\n\nHello, here is some text" for n, name in enumerate(names, 1)))
    pages = real(shared_data, "pdflatex-4-pages.pdf").text
    sentences = pages.count("Hello, here is some text without a meaning.")
    assert sentences > 10
    assert pages.count("the length of words should match the language.") == sentences
