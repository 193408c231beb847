"""What `find_duplicates` says of documents, against the definition: all pairs, word by word."""

import random
import re
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from making import document

from libertas.corpus import Corpus
from libertas.curate.duplicates import find, near, tasks
from libertas.curate.duplicates.find import CutSettings, find_duplicates
from libertas.document import Document
from libertas.errors import UsageError

Rows = dict[int, dict[str, object]]


def ngrams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(max(len(words) - 4, 1))} if words else set()


def alike(left: str, right: str) -> float:
    a, b = ngrams(left), ngrams(right)
    return len(a & b) / len(a | b)


def random_words(generator: random.Random, count: int) -> list[str]:
    return [f"w{generator.randrange(4000)}" for _ in range(count)]


def edited(words: list[str], generator: random.Random, changes: int) -> list[str]:
    result = list(words)
    for place in generator.sample(range(len(words)), changes):
        result[place] = f"x{generator.randrange(10**6)}"
    return result


def planted(seed: int, families: int = 25) -> list[str]:
    """Families of texts: an original, edited copies near and far, exact copies; shuffled."""
    generator = random.Random(seed)
    texts = []
    for _ in range(families):
        words = random_words(generator, generator.randrange(30, 250))
        texts.append(" ".join(words))
        texts += [" ".join(edited(words, generator, n)) for n in generator.choices((1, 2, 4, 9, 30), k=2)]
        texts += [" ".join(words) + "\n"] * generator.randrange(2)
    generator.shuffle(texts)
    return texts


def expected_clusters(texts: list[str], at_least: float) -> list[int]:
    """The smallest text of each one's component."""
    sets, stripped = [ngrams(text) for text in texts], [text.strip() for text in texts]
    edges = [
        (i, j)
        for i in range(len(texts))
        for j in range(i)
        if stripped[i] == stripped[j] or len(sets[i] & sets[j]) >= at_least * len(sets[i] | sets[j])
    ]
    root = list(range(len(texts)))
    for _ in texts:
        for i, j in edges:
            root[i] = root[j] = min(root[i], root[j])
    return root


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return planted(0)


@pytest.fixture(scope="module")
def corpora(texts: list[str], tmp_path_factory: pytest.TempPathFactory, make_corpus) -> list[Corpus]:
    folder = tmp_path_factory.mktemp("corpora")
    some = [document(n, ("web", "books")[n % 2], content=text) for n, text in enumerate(texts)]
    return [Corpus.open(make_corpus(part, folder / name)) for name, part in (("a", some[:40]), ("b", some[40:]))]


def rows_in(folder: Path, corpora: list[Corpus]) -> Rows:
    """What is said of each document, by its place in all corpora."""
    found, start = {}, 0
    for number, corpus in enumerate(corpora):
        for path in sorted((folder / "clusters").glob(f"{number}-*.parquet")):
            for row in pq.read_table(path, partitioning=None).to_pylist():
                found[start + row["number"]] = row
        start += len(corpus)
    return found


def found_in(corpora: list[Corpus], folder: Path, **settings: object) -> Rows:
    find_duplicates(corpora, folder, **settings)
    return rows_in(folder, corpora)


def test_clusters_are_those_of_comparing_all_pairs_word_by_word(texts, corpora, tmp_path: Path) -> None:
    rows = found_in(corpora, tmp_path)
    expected = expected_clusters(texts, 0.8)
    sizes = Counter(expected)
    assert {n: row["cluster"] for n, row in rows.items()} == {n: r for n, r in enumerate(expected) if sizes[r] > 1}
    assert len({row["cluster"] for row in rows.values()}) > 15


def test_every_row_says_truly_how_similar_a_document_is_to_its_representative(texts, corpora, tmp_path: Path) -> None:
    ids = [d.id for corpus in corpora for d in corpus]
    for settings in ({}, {"priority": ("longest",)}):
        rows = found_in(corpora, tmp_path / str(len(settings)), **settings)
        for n, row in rows.items():
            other = ids.index(row["representative"])
            assert row["document_id"] == ids[n]
            assert row["similarity"] == pytest.approx(alike(texts[n], texts[other]))
            same = texts[n].strip() == texts[other].strip()
            assert row["kind"] == ("representative" if other == n else "exact" if same else "near")
        kinds = Counter(row["kind"] for row in rows.values())
        assert min(kinds[kind] for kind in ("representative", "exact", "near")) > 3


@pytest.mark.parametrize(
    ("priority", "order"),
    [
        (("first",), lambda n, d: (0, n)),
        (("longest",), lambda n, d: (-len(d.text), n)),
        (("books", "web"), lambda n, d: (d.meta["component"] == "web", n)),
        (("web",), lambda n, d: (d.meta["component"] != "web", n)),
    ],
)
def test_the_document_of_best_priority_represents_a_cluster(corpora, tmp_path: Path, priority, order) -> None:
    documents = [d for corpus in corpora for d in corpus]
    members = defaultdict(list)
    rows = found_in(corpora, tmp_path, priority=priority)
    for n, row in rows.items():
        members[row["cluster"]].append(n)
    for some in members.values():
        best = min(some, key=lambda n: order(n, documents[n]))
        assert {rows[n]["representative"] for n in some} == {documents[best].id}
        assert min(some, key=lambda n: (rows[n]["priority"], n)) == best


def test_the_largest_value_of_a_field_wins_and_what_has_none_is_last(make_corpus, tmp_path: Path) -> None:
    scores = [None, 0.5, "high", 2, float("nan")]
    some = [Document(f"{n:032x}", "the same text", {} if s is None else {"score": s}) for n, s in enumerate(scores)]
    corpus = Corpus.open(make_corpus(some, tmp_path / "corpus"))
    rows = found_in([corpus], tmp_path / "found", priority=("meta.score",))
    assert {row["representative"] for row in rows.values()} == {f"{3:032x}"}
    inf = float("inf")
    assert [row["priority"] for row in rows.values()] == [inf, -0.5, inf, -2.0, inf]


def test_exact_alone_finds_no_near_ones(texts, corpora, tmp_path: Path) -> None:
    rows = found_in(corpora, tmp_path, methods=("exact",))
    stripped = [text.strip() for text in texts]
    assert set(rows) == {n for n, text in enumerate(stripped) if stripped.count(text) > 1}


def test_no_documents_make_no_clusters(make_corpus, tmp_path: Path) -> None:
    corpus = Corpus.open(make_corpus([], tmp_path / "none"))
    counts = find_duplicates([corpus], tmp_path / "found", methods=("exact", "near", "lines", "substring"))
    assert counts["documents"] == {"in": 0, "out": 0, "dropped": 0}
    assert counts["clusters"] == {"clusters": 0, "exact": 0, "near": 0}


def test_documents_without_words_are_copies_only_when_they_are_equal(make_corpus, tmp_path: Path) -> None:
    some = [document(n, content=text) for n, text in enumerate(["", "...", "!!!", " \n", "... "])]
    rows = found_in([Corpus.open(make_corpus(some, tmp_path / "corpus"))], tmp_path / "found")
    assert {n: row["cluster"] for n, row in rows.items()} == {0: 0, 3: 0, 1: 1, 4: 1}


def test_near_duplicates_are_found_in_scripts_without_spaces(make_corpus, tmp_path: Path) -> None:
    generator = random.Random(3)
    for first, last in ((0x4E00, 0x9FA5), (0x3041, 0x3096), (0x0E01, 0x0E30)):
        text = "".join(chr(generator.randint(first, last)) for _ in range(300))
        changed = text[:100] + "变" + text[101:]
        some = [document(n, content=t) for n, t in enumerate([text, text[::-1], changed])]
        folder = tmp_path / f"{first:x}"
        rows = found_in([Corpus.open(make_corpus(some, folder / "corpus"))], folder / "found")
        assert {n: row["cluster"] for n, row in rows.items()} == {0: 0, 2: 0}
        assert rows[2]["similarity"] == pytest.approx((296 - 5) / (296 + 5), abs=0.005)


ALL = {"methods": ("exact", "near", "lines", "substring"), "spans": CutSettings(10, 1, 20)}


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in many parts, as it is for large corpora."""
    monkeypatch.setattr(tasks, "PARTITION_RECORDS", 200)
    monkeypatch.setattr(near, "VERIFIED_AT_ONCE", 20)
    monkeypatch.setattr(near, "COMPARED_AT_ONCE", 7)
    monkeypatch.setattr(near, "READ_AT_ONCE", 4000)
    monkeypatch.setattr(near, "SLICE", 30)
    monkeypatch.setattr("libertas.curate.duplicates.components.AT_ONCE", 11)
    monkeypatch.setattr("libertas.curate.duplicates.copies.SLICE", 13)
    monkeypatch.setattr("libertas.curate.duplicates.substring.MEETINGS_AT_ONCE", 50)
    monkeypatch.setattr("libertas.curate.duplicates.substring.READ_AT_ONCE", 3000)


def test_one_process_two_processes_and_many_small_parts_write_the_same_bytes(corpora, tmp_path: Path, request) -> None:
    counts = find_duplicates(corpora, tmp_path / "one", **ALL)
    assert min(counts["clusters"].values()) > 5
    find_duplicates(corpora, tmp_path / "two", workers=2, **ALL)
    request.getfixturevalue("small_parts")
    find_duplicates(corpora, tmp_path / "parts", **ALL)
    expected = files_in(tmp_path / "one")
    assert len(expected) == 4
    assert files_in(tmp_path / "two") == expected
    assert files_in(tmp_path / "parts") == expected


@pytest.mark.slow
def test_ray_writes_the_same_bytes(corpora, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    find_duplicates(corpora, tmp_path / "one", **ALL)
    find_duplicates(corpora, tmp_path / "ray", engine="ray", **ALL)
    assert files_in(tmp_path / "ray") == files_in(tmp_path / "one")


def test_an_interrupted_search_goes_on_where_it_was_and_ends_the_same(corpora, tmp_path: Path, monkeypatch) -> None:
    find_duplicates(corpora, tmp_path / "whole", **ALL)
    real, done = tasks._run, []

    def run(task: tasks.TableTask) -> None:
        if len(done) % 4 == 3:
            done.append("interrupted")
            raise KeyboardInterrupt
        done.append(f"{task.tables} {task.name}")
        real(task)

    monkeypatch.setattr(tasks, "_run", run)
    interruptions = 0
    while not (tmp_path / "again" / "clusters" / "1-00000.parquet").exists():
        try:
            find_duplicates(corpora, tmp_path / "again", **ALL)
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions > 3
    finished = [name for name in done if name != "interrupted"]
    assert len(finished) == len(set(finished)), "work was done twice"
    assert files_in(tmp_path / "again") == files_in(tmp_path / "whole")


def test_dedup_makes_an_artifact_once_and_refuses_settings_that_mean_nothing(corpora, tmp_path: Path) -> None:
    paths = tuple(corpus.path for corpus in corpora)
    config = find.DedupConfig(corpora=paths, out=tmp_path / "found", workers=1)
    assert find.dedup(config) == tmp_path / "found"
    before = files_in(tmp_path / "found")
    assert find.dedup(config) == tmp_path / "found"
    assert files_in(tmp_path / "found") == before
    assert not (tmp_path / "found" / find.WORK).exists()
    for wrong, message in (
        ({"corpora": ()}, "corpora is empty"),
        ({"corpora": (paths[0], paths[0])}, "twice"),
        ({"methods": ("nearly",)}, "near"),
        ({"methods": ()}, "methods is empty"),
        ({"similarity": 0.3}, "0.7 to 1"),
        ({"priority": ("longest", "web")}, "longest alone"),
        ({"priority": ()}, "priority is empty"),
        ({"workers": 0}, "workers is 0"),
        ({"window_words": 5}, "window_words is 5"),
        ({"engine": "rai"}, "ray"),
    ):
        with pytest.raises(UsageError, match=message):
            find.DedupConfig(**{"corpora": paths, "out": tmp_path / "x", **wrong})
