"""The browser of clusters says who is in one, and which words differ."""

from io import StringIO
from pathlib import Path

import pytest
from making import document, text
from rich.console import Console

from libertas.cli import main
from libertas.curate.duplicates.browse import cluster_of, cluster_view, differences
from libertas.curate.duplicates.config import DedupConfig, ShowClusterConfig
from libertas.curate.duplicates.find import dedup
from libertas.document import Document
from libertas.errors import UsageError


@pytest.fixture(scope="module")
def found(make_corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browse")
    base = text(1, 200)
    words = base.split()
    documents = [
        Document("aa" + "0" * 30, base, {"component": "web", "url": "https://example.org/\x1b[31mred"}),
        Document("ab" + "0" * 30, " ".join([*words[:100], "NEW", *words[101:]]), {"component": "books"}),
        Document("ac" + "0" * 30, base + "\n", {}),
        document(7),
    ]
    corpora = tuple(make_corpus(part, folder / name) for name, part in (("a", documents[:2]), ("b", documents[2:])))
    return dedup(DedupConfig(corpora=corpora, out=folder / "duplicates", workers=1))


def shown(found: Path, identifier: str, **settings: int) -> str:
    page = StringIO()
    console = Console(width=200, file=page)
    for item in cluster_view(cluster_of(ShowClusterConfig(id=identifier, in_=found, **settings))):
        console.print(item)
    return page.getvalue()


@pytest.mark.parametrize("identifier", ["aa", "ab0", "ac" + "0" * 30])
def test_any_member_shows_the_whole_cluster_and_what_differs(found: Path, identifier: str) -> None:
    page = shown(found, identifier)
    rows = [line.split("│") for line in page.splitlines() if line.startswith("│")]
    kinds = {row[1].strip()[:2]: (row[2].strip(), row[5].strip()) for row in rows}
    assert kinds == {"aa": ("representative", "web"), "ab": ("near", "books"), "ac": ("exact", "")}
    assert page.count("[-") == 1
    assert page.count("{+NEW+}") == 1
    assert "the same words" in page
    assert "\x1b" not in page


def test_no_texts_are_compared_when_none_are_wanted(found: Path) -> None:
    assert "{+" not in shown(found, "aa", members=0)


def test_an_id_that_names_no_cluster_or_several_is_an_error_that_says_so(found: Path) -> None:
    alone = document(7).id
    for identifier, message in (("a", "3 ids"), (alone, "has no duplicate"), ("0123456789", "in no cluster")):
        with pytest.raises(UsageError, match=message):
            cluster_of(ShowClusterConfig(id=identifier, in_=found))
    with pytest.raises(UsageError, match="no id"):
        ShowClusterConfig(id="xyz", in_=found)


def test_differences_name_what_went_and_what_came() -> None:
    first, second = differences("a b c d e f", "a b X d e f g").plain.splitlines()
    assert first.split() == ["…", "a", "b", "[-c-]", "{+X+}", "d", "e", "f", "…"]
    assert second.split() == ["…", "c", "d", "e", "f", "{+g+}", "…"]


def test_the_command_line_finds_and_shows(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str, status: int) -> str:
        with pytest.raises(SystemExit) as end:
            main(words)
        captured = capsys.readouterr()
        assert end.value.code == status, captured.err
        return captured.err if status else captured.out

    corpora, again = [str(found.parent / name) for name in "ab"], str(tmp_path / "again")
    said("dedup", *corpora, "--out", again, "--workers", "1", "--priority", "books", "web", status=0)
    assert "ab" + "0" * 30 + " │ representative" in said("dedup", "show", "aa", "--in", again, status=0)
    assert "is in no cluster" in said("dedup", "show", "ff", "--in", again, status=1)
