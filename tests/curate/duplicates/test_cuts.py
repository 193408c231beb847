"""Lines and spans that occurred before, against the definition."""

import random
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from making import document

from libertas.corpus import Corpus
from libertas.curate.duplicates.find import CutSettings, find_duplicates
from libertas.curate.duplicates.lines import normalized_lines
from libertas.curate.duplicates.substring import marks
from libertas.curate.minhash import word_hashes

WINDOW = 20


@pytest.fixture
def cuts_of(make_corpus, tmp_path: Path):
    def cuts(texts: list[str], method: str, **spans: int) -> list[tuple[int, int, int]]:
        """Document, start and end of every cut."""
        corpus = Corpus.open(make_corpus([document(n, content=t) for n, t in enumerate(texts)], tmp_path / "corpus"))
        find_duplicates([corpus], tmp_path / "found", methods=("exact", "near", method), spans=CutSettings(**spans))
        rows = pq.read_table(tmp_path / "found" / "cuts" / "0-00000.parquet", partitioning=None).to_pylist()
        ids = corpus.ids()
        assert all(row["rule"] == method and row["replacement"] == "" for row in rows)
        assert all(ids.index(row["detail"].removeprefix("before in ")) <= row["number"] for row in rows)
        return [(row["number"], row["start"], row["end"]) for row in rows]

    return cuts


def some_text(seed: int, words: int = 60) -> str:
    generator = random.Random(seed)
    return " ".join(f"w{generator.randrange(10**6)}" for _ in range(words))


def test_a_line_is_cut_from_every_document_after_the_first(cuts_of) -> None:
    line = "All rights   reserved by the Authors of it."
    texts = [
        f"{some_text(0)}\n{line}\n{some_text(1)}",
        f"{some_text(2)}\n  all Rights reserved by the authors of it.\n{some_text(3)}",
        f"{some_text(4)}\n{line}",
        f"{some_text(5)}\nread more\n{some_text(6)}",
        f"{some_text(7)}\nread more\n{some_text(8)}",
    ]
    cuts = cuts_of(texts, "lines", line_characters=20)
    assert [(n, texts[n][start:end].strip().lower()) for n, start, end in cuts] == [
        (1, "all rights reserved by the authors of it."),
        (2, "all rights   reserved by the authors of it."),
    ]
    number, start, end = cuts[0]
    assert texts[number][:start] + texts[number][end:] == f"{some_text(2)}\n{some_text(3)}"


def test_as_many_documents_as_one_likes_keep_a_line(cuts_of) -> None:
    line = "a line that stands in each of them, twice in one"
    texts = [f"{some_text(n)}\n{line}\n{some_text(n + 9)}\n{line}" for n in range(5)]
    cuts = cuts_of(texts, "lines", line_characters=20, line_documents=3)
    assert [number for number, _, _ in cuts] == [3, 3, 4, 4]


def test_two_copies_of_a_document_do_not_cut_each_other(cuts_of) -> None:
    text = f"{some_text(1)}\n{some_text(2)}"
    assert cuts_of([text, text + " more", text], "lines", line_characters=20) == []


def test_lines_make_up_the_text() -> None:
    for text in ("", "\n", "a\n\n b", "a\r\nb\n", "one"):
        assert "".join(text[start:end] for _, start, end in normalized_lines(text)) == text


def tokens(text: str) -> list[tuple[str, int, int]]:
    """Words by the definition, with their characters."""
    pattern = "[\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff]|[a-zA-Z0-9_é]+"
    return [(m.group().lower(), m.start(), m.end()) for m in re.finditer(pattern, text)]


def expected_cuts(texts: list[str], window: int) -> list[tuple[int, int, int]]:
    """Every word in a window that occurred before, and the runs that these words make."""
    seen: set[tuple[str, ...]] = set()
    cuts = []
    for number, text in enumerate(texts):
        found = tokens(text)
        covered = np.zeros(len(found) + 1, dtype=bool)
        for i in range(len(found) - window + 1):
            key = tuple(word for word, _, _ in found[i : i + window])
            covered[i : i + window] |= key in seen
            seen.add(key)
        edges = np.flatnonzero(np.diff(covered, prepend=False)).reshape(-1, 2)
        cuts += [(number, found[a][1], found[b - 1][2]) for a, b in edges.tolist()]
    return cuts


def planted_spans(seed: int, alphabet: str, gap: str, trimmed: int) -> list[str]:
    """Texts of which many have spans in common, of half a window to three windows, some of them one after another."""
    generator = random.Random(seed)

    def fresh(count: int) -> list[str]:
        if not gap:
            return [chr(generator.randint(ord(alphabet[0]), ord(alphabet[1]))) for _ in range(count)]
        return [f"{generator.choice(alphabet)}{generator.randrange(10**6)}" for _ in range(count)]

    pool = [fresh(generator.randrange(WINDOW // 2, 3 * WINDOW)) for _ in range(12)]
    texts = []
    for _ in range(40):
        words: list[str] = []
        for _ in range(4):
            words += fresh(generator.randrange(1, 60))
            span = generator.choice(pool)
            words += span[generator.randrange(2) * trimmed :]
        texts.append(gap.join(words))
    return texts


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("alphabet", "gap"), [("abcé", " "), ("一龥", "")])
def test_spans_that_occurred_before_are_cut_as_comparing_all_windows_says(cuts_of, seed, alphabet, gap) -> None:
    texts = planted_spans(seed, alphabet, gap, trimmed=0)
    expected = expected_cuts(texts, WINDOW)
    assert len(expected) > 60
    assert cuts_of(texts, "substring", window_words=WINDOW) == expected


@pytest.mark.parametrize(("alphabet", "gap"), [("abcé", " "), ("ぁゖ", ""), ("กฮ", "")])
def test_nothing_is_cut_without_need_and_little_is_missed_where_copies_begin_differently(
    cuts_of, alphabet, gap
) -> None:
    texts = planted_spans(5, alphabet, gap, trimmed=5)
    expected = {(n, i) for n, start, end in expected_cuts(texts, WINDOW) for i in range(start, end)}
    found = {(n, i) for n, start, end in cuts_of(texts, "substring", window_words=WINDOW) for i in range(start, end)}
    assert found <= expected
    assert len(found) >= 0.98 * len(expected)


def test_case_and_punctuation_do_not_hide_a_copy_and_no_word_is_cut_in_two(cuts_of) -> None:
    span = some_text(0, 30)
    texts = [f"{some_text(1)} begin{span}end", f"{some_text(2)} ({span.upper().replace(' ', ', ')}) {some_text(3)}"]
    ((number, start, end),) = cuts_of(texts, "substring", window_words=WINDOW)
    assert (number, texts[1][start:end].lower().replace(",", "")) == (1, span.split(" ", 1)[1].rsplit(" ", 1)[0])


def test_a_text_that_repeats_itself_keeps_one_period(cuts_of) -> None:
    period = some_text(0, 30)
    text = " ".join([period] * 2000) + " done"
    assert cuts_of([text, "x " * 5000], "substring", window_words=WINDOW) == [
        (0, len(period) + 1, len(text) - 5),
        (1, 2, 9999),
    ]


def test_every_window_has_a_mark_and_about_one_word_in_seven_of_a_short_one_is_marked() -> None:
    words = word_hashes([some_text(n, 700) for n in range(4)])
    places, _ = marks(words, WINDOW)
    half = WINDOW // 2
    for first, last in zip(words.first[:-1], words.first[1:], strict=True):
        for start in range(first, last - WINDOW + 1):
            assert ((places >= start) & (places + half <= start + WINDOW)).any()
    assert len(places) / len(words.hashes) == pytest.approx(2 / (WINDOW - half + 2), rel=0.1)
