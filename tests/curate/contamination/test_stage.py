"""The stage: what it writes, that it is the same for all workers, and what it does about what it finds."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from making import document, text
from rich.console import Console

from libertas.curate.contamination.config import DecontaminateConfig, ShowOverlapsConfig
from libertas.curate.contamination.show import overlaps_of, overlaps_view
from libertas.curate.contamination.stage import decontaminate
from libertas.curate.sidecar import AGAINST, CUTS
from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest

QUESTION = "Which composer from Bohemia wrote a quartet about an American railway while living in Iowa?"
SENTENCE = "Seven hungry otters juggle pebbles beneath frozen waterfalls."
CLEAN = text(50, 400)


@pytest.fixture
def corpora(tmp_path: Path, make_corpus, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 2000)
    monkeypatch.setattr("libertas.corpus.store.PIECE_BYTES", 5000)
    first = [document(n) for n in range(60)]
    first[17] = document(17, content=f"{CLEAN}\n{QUESTION} Dvořák.\n{CLEAN}")
    first[40] = document(40, content=f"Here: {SENTENCE.upper()}")
    second = [document(100, content=f"{CLEAN} {SENTENCE} {CLEAN} {QUESTION} {CLEAN}"), document(101)]
    return make_corpus(first, tmp_path / "first"), make_corpus(second, tmp_path / "second")


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    folder = tmp_path / "sets"
    folder.mkdir()
    records = [{"id": "q", "question": QUESTION, "answer": "Dvořák"}, {"id": "no", "question": "Why?", "answer": "So."}]
    (folder / "music.jsonl").write_text("\n".join(map(json.dumps, records)))
    (folder / "otters.txt").write_text(SENTENCE)
    return folder


def made(out: Path, corpora: tuple[Path, ...], sets: Path, **settings: object) -> Path:
    return decontaminate(
        DecontaminateConfig(**{"corpora": corpora, "against": (sets,), "out": out, "workers": 1} | settings)
    )


def rows(folder: Path, table: str) -> list[dict[str, object]]:
    paths = sorted((folder / table).glob("*.parquet"))
    return [{"corpus": p.stem[0]} | row for p in paths for row in pq.read_table(p, partitioning=None).to_pylist()]


def test_overlaps_name_both_sides_and_both_texts(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    found = rows(made(tmp_path / "out", corpora, sets), "overlaps")
    assert [(r["corpus"], r["number"], r["task"], r["item"], r["kind"]) for r in found] == [
        ("0", 17, "music", "q", "with_answer"),
        ("0", 40, "otters", "1", "question"),
        ("1", 0, "music", "q", "question"),
        ("1", 0, "otters", "1", "question"),
    ]
    start = len(CLEAN) + 1
    assert (found[0]["start"], found[0]["end"]) == (start, start + len(QUESTION) + len(" Dvořák"))
    assert found[0]["item_text"] == f"{QUESTION}\nDvořák"
    assert QUESTION in str(found[0]["document_text"])
    assert found[1]["document_text"] == f"Here: {SENTENCE.upper()}"
    assert found[1]["document_id"] == document(40, content=f"Here: {SENTENCE.upper()}").id


def test_counts_tell_items_kinds_and_documents(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    counts = read_manifest(made(tmp_path / "out", corpora, sets)).counts
    assert counts["documents"] == {"in": 62, "out": 62, "dropped": 0}
    assert counts["documents_touched"] == 3
    assert counts["tasks"] == {
        "music": {"items": 2, "too_short_to_tell": 1, "documents": 2, "with_answer": 1, "question": 0, "passage": 0},
        "otters": {"items": 1, "too_short_to_tell": 0, "documents": 2, "with_answer": 0, "question": 1, "passage": 0},
    }


def test_marking_changes_nothing(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    out = made(tmp_path / "out", corpora, sets)
    assert rows(out, CUTS) == rows(out, AGAINST) == []
    assert sorted(p.name for p in out.iterdir()) == ["against", "cuts", "manifest.json", "overlaps"]


def test_dropping_speaks_against_every_document_that_holds_an_item(
    tmp_path: Path, corpora: tuple[Path, ...], sets: Path
) -> None:
    out = made(tmp_path / "out", corpora, sets, action="drop")
    assert [(r["corpus"], r["number"], r["rule"], r["reason"], r["value"]) for r in rows(out, AGAINST)] == [
        ("0", 17, "contamination", "holds a question with its answer of an evaluation set", 1.0),
        ("0", 40, "contamination", "holds a question of an evaluation set", 1.0),
        ("1", 0, "contamination", "holds a question of an evaluation set", 1.0),
    ]
    assert read_manifest(out).counts["documents"] == {"in": 62, "out": 59, "dropped": 3}


def test_only_the_chosen_kinds_are_acted_on(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    out = made(tmp_path / "out", corpora, sets, action="drop", kinds=("with_answer",))
    assert [r["number"] for r in rows(out, AGAINST)] == [17]
    assert len(rows(out, "overlaps")) == 4


def test_cutting_takes_out_the_overlap_and_its_margin(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    out = made(tmp_path / "out", corpora, sets, action="cut", margin=0)
    body = f"{CLEAN} {SENTENCE} {CLEAN} {QUESTION} {CLEAN}"
    cuts = [r for r in rows(out, CUTS) if r["corpus"] == "1"]
    assert [(body[r["start"] : r["end"]], r["replacement"], r["detail"]) for r in cuts] == [
        (SENTENCE[:-1], "\n\n", "otters/1"),
        (QUESTION[:-1], "\n\n", "music/q"),
    ]
    assert [(r["number"], r["reason"]) for r in rows(out, AGAINST)] == [(40, "would lose more than 75% of its text")]
    wide = made(tmp_path / "wide", corpora, sets, action="cut")
    [cut] = [r for r in rows(wide, CUTS) if r["number"] == 17]
    start, end = len(CLEAN) + 1 - 200, len(CLEAN) + 1 + len(QUESTION) + 8 + 200
    assert start - 10 < cut["start"] <= start
    assert end - 2 <= cut["end"] < end + 10


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.parquet")}


def test_two_workers_write_the_same_bytes(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    one = made(tmp_path / "one", corpora, sets, action="cut", workers=1)
    two = made(tmp_path / "two", corpora, sets, action="cut", workers=2)
    assert bytes_of(one) == bytes_of(two)
    assert read_manifest(one).content == read_manifest(two).content


@pytest.mark.slow
def test_ray_writes_the_same_bytes(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    pytest.importorskip("ray")
    one = made(tmp_path / "one", corpora, sets, action="cut", workers=1)
    ray = made(tmp_path / "ray", corpora, sets, action="cut", engine="ray")
    assert bytes_of(one) == bytes_of(ray)


def test_a_corpus_is_found_in_another(tmp_path: Path, corpora: tuple[Path, ...], make_corpus) -> None:
    held = make_corpus([document(7, content=f"{SENTENCE}\n\nOther words.")], tmp_path / "held")
    out = made(tmp_path / "out", corpora, held)
    assert [(r["task"], r["item"][-2:], r["number"]) for r in rows(out, "overlaps")] == [
        ("held", "#0", 40),
        ("held", "#0", 0),
    ]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interruption_leaves_what_the_next_run_finishes(
    tmp_path: Path, corpora: tuple[Path, ...], sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bytes_of(made(tmp_path / "whole", corpora, sets))
    with monkeypatch.context() as patch:
        patch.setattr("libertas.curate.contamination.stage._counts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "out", corpora, sets)
    assert (tmp_path / "out.partial" / "overlaps" / "0-00000.parquet").exists()
    assert bytes_of(made(tmp_path / "out", corpora, sets)) == whole


def test_what_was_found_is_shown_with_both_texts(tmp_path: Path, corpora: tuple[Path, ...], sets: Path) -> None:
    out = made(tmp_path / "out", corpora, sets)
    console = Console(width=160, record=True, file=(tmp_path / "log").open("w"))
    for item in overlaps_view(overlaps_of(ShowOverlapsConfig(found=out, task="music", kind="with_answer"))):
        console.print(item)
    console.file.close()
    shown = console.export_text()
    assert shown.count("Which composer from Bohemia wrote a quartet about an American") == 2
    assert "music q: with_answer" in shown
    with pytest.raises(UsageError, match="no overlap with task maths; its tasks: music, otters"):
        overlaps_of(ShowOverlapsConfig(found=out, task="maths"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"corpora": ()}, "corpora is empty"),
        ({"against": ()}, "against is empty"),
        ({"against": (Path("a"), Path("a"))}, "names a twice"),
        ({"action": "burn"}, "action is 'burn'"),
        ({"kinds": ("answer",)}, "no kind 'answer'"),
        ({"fields": {"qestion": "x"}}, "no 'qestion'"),
        ({"margin": -1}, "margin is -1"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DecontaminateConfig(**{"corpora": (Path("c"),), "against": (Path("a"),), "out": Path("o")} | settings)
