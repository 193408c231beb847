"""Looking at texts: the numbers are those of the documents, and a document is found by id, address, chance, pattern."""

import subprocess
import sys
from pathlib import Path
from statistics import mean, median

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import document, mixed_corpus
from rich.console import Console

from libertas.corpus.find import document_with_id, documents_with_url, matching, random_document
from libertas.corpus.look import Measure, corpus_summary
from libertas.document import Document
from libertas.errors import UsageError

DOCUMENTS = [
    Document(d.id, d.text, {**d.meta, "url": f"https://example.org/{n}", "language": ("en", "de")[n % 3 == 0]})
    for n, d in ((n, document(n, ("web", "code")[n % 2])) for n in range(60))
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return mixed_corpus(tmp_path / "mix", DOCUMENTS[:50], DOCUMENTS[50:])


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    rows = [orjson.dumps({"text": d.text, "meta": {"id": d.id, **d.meta}}) for d in DOCUMENTS]
    (tmp_path / "plain.jsonl").write_bytes(b"\n".join([*rows, b"{broken"]))
    return tmp_path / "plain.jsonl"


def shown(path: Path, workers: int = 1) -> list[str]:
    console = Console(width=120)
    with console.capture() as captured:
        for item in corpus_summary(path, workers):
            console.print(item)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_a_summary_of_a_corpus_counts_each_part(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(corpus)
    code = [len(d.text) for d in DOCUMENTS[:50] if d.meta["component"] == "code"]
    size = sum(len(d.text.encode()) for d in DOCUMENTS)
    row = next(line for line in lines if line.startswith("train/code"))
    assert row.split()[1] == "25"
    assert row.split()[-2:] == [f"{mean(code):.1f}", f"{median(code):.1f}"]
    assert next(line for line in lines if line.startswith("all")).split()[1:4] == ["60", f"{size / 1e6:,.2f}", "100.0%"]
    assert "languages: en 40, de 20" in lines
    compressed = sum(p.stat().st_size for p in corpus.rglob("*.zst"))
    assert (
        f"2 files, {compressed / 1e6:,.2f} MB compressed, {size / compressed:.2f} times smaller than the text" in lines
    )


def test_a_summary_of_plain_files_says_what_could_not_be_read(plain: Path) -> None:
    lines = shown(plain)
    assert lines[-1] == "not read: 1 malformed line"
    assert [line.split()[1] for line in lines if line.startswith(("web", "code", "all"))] == ["30", "30", "60"]


def test_processes_do_not_change_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 500)
    monkeypatch.setattr("libertas.corpus.store.PIECE_BYTES", 1000)
    corpus = mixed_corpus(tmp_path / "mix", DOCUMENTS[:50], DOCUMENTS[50:])
    assert shown(corpus, 2) == shown(corpus, 1)
    assert list(matching(corpus, "file", workers=2)) == list(matching(corpus, "file"))
    assert documents_with_url(corpus, "https://example.org/33", 2) == [DOCUMENTS[33]]


def test_a_document_is_found_by_id_and_by_address(corpus: Path, plain: Path) -> None:
    for path in (corpus, corpus / "train", plain):
        assert document_with_id(path, DOCUMENTS[7].id, 1) == DOCUMENTS[7]
        assert documents_with_url(path, "https://example.org/8", 1) == [DOCUMENTS[8]]
        with pytest.raises(UsageError, match="has no document with the id nobody"):
            document_with_id(path, "nobody", 1)
        with pytest.raises(UsageError, match="has no document with the url nowhere"):
            documents_with_url(path, "nowhere", 1)
    assert document_with_id(corpus, DOCUMENTS[55].id, 1) == DOCUMENTS[55]


@pytest.mark.parametrize("kind", ["corpus", "plain"])
def test_a_random_document_is_the_same_for_a_seed_and_any_of_them_without(
    kind: str, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(kind)
    assert random_document(path, 5) == random_document(path, 5)
    found = {random_document(path, seed)[0].id for seed in range(500)}
    assert len(found) > 55  # of 60; all but surely so if each is as likely
    document, again = random_document(path, None)
    assert random_document(path, int(again.split()[-1]))[0] == document


def test_a_pattern_finds_what_re_finds(corpus: Path, plain: Path) -> None:
    wanted = [d for d in DOCUMENTS if "file and" in d.text.lower()]
    for path in (corpus, plain):
        found = list(matching(path, "FILE AND", ignore_case=True))
        assert [(m.document_id, m.url, m.count) for m in found] == [
            (d.id, d.meta["url"], d.text.count("file and")) for d in wanted
        ]
        assert all(m.before + m.found + m.after in d.text for m, d in zip(found, wanted, strict=True))
        code = list(matching(path, "file and", component="code"))
        assert [m.document_id for m in code] == [d.id for d in wanted if d.meta["component"] == "code"]
    with pytest.raises(UsageError, match="no regular expression"):
        list(matching(corpus, "("))


@given(st.lists(st.integers(0, 9), min_size=1))
def test_the_median_is_the_one_of_statistics(lengths: list[int]) -> None:
    measure = Measure()
    for length in lengths:
        measure.add(Document("", "x" * length))
    assert measure.median == median(lengths)
    assert measure.characters == sum(lengths)


def libertas(*words: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "libertas.cli", "corpus", *map(str, words)]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_the_command_prints_documents_and_matches(corpus: Path) -> None:
    assert "60" in libertas(corpus).stdout
    assert DOCUMENTS[3].text[:40] in libertas(corpus, "--id", DOCUMENTS[3].id).stdout
    assert "the same document again: --random 4" in libertas(corpus, "--random", 4).stderr
    found = [d for d in DOCUMENTS if "must be" in d.text]
    lines = libertas("grep", "must be", corpus, "--limit", 2).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [d.id for d in found[:2]]
    times = sum(d.text.count("must be") for d in found)
    assert libertas("grep", "must be", corpus, "--count").stdout == f"{len(found)} documents, {times} times\n"
    none = libertas("grep", "no such words", corpus)
    assert (none.returncode, none.stdout) == (1, "")
    two = libertas(corpus, "--id", "x", "--random")
    assert two.returncode == 1
    assert "more than one of --id, --url and --random" in two.stderr
