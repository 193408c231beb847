"""Files of others become a corpus: what is kept, what is dropped and why, and the same bytes always."""

import json
import subprocess
import sys
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from making import document, small_corpus

from libertas.corpus import Corpus
from libertas.corpus.adopt import adopt
from libertas.corpus.config import AdoptConfig
from libertas.corpus.shard import ShardWriter
from libertas.document import document_id
from libertas.errors import UsageError
from libertas.lineage.fingerprint import file_digest
from libertas.lineage.verify import verify


def written(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((r if isinstance(r, bytes) else orjson.dumps(r)) + b"\n" for r in rows))
    return path


def adopted(out: Path, *paths: Path, **settings: object) -> Corpus:
    return adopt(AdoptConfig(paths=paths, out=out, **{"workers": 1, **settings}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(11):
        rows = [{"text": f"text {number} {n}", "meta": {"n": n}} for n in range(3)]
        written(tmp_path / "lmd" / f"data_{number}_time0_x.jsonl", *rows, b"{broken")
    return tmp_path / "lmd"


def files_of(corpus: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in corpus.iterdir() if p.name != "manifest.json"}


def test_documents_keep_file_order_and_say_where_they_stood(folder: Path, tmp_path: Path) -> None:
    corpus = adopted(tmp_path / "corpus", folder)
    documents = list(corpus)
    assert [d.text for d in documents] == [f"text {number} {n}" for number in range(11) for n in range(3)]
    assert documents[7].meta == {"n": 1, "source": "data_2_time0_x.jsonl", "line": 2, "component": "adopted"}
    digest = file_digest(folder / "data_2_time0_x.jsonl")
    assert documents[7].id == document_id("#2", digest)
    assert documents[7].warc is None
    assert len(corpus.shards) == 11
    assert verify(tmp_path / "corpus").sound


def test_everything_is_a_document_or_a_drop(folder: Path, tmp_path: Path) -> None:
    counts = adopted(tmp_path / "corpus", folder).manifest.counts
    assert counts["documents"] == {"in": 44, "out": 33, "dropped": 11}
    assert counts["dropped"] == {"malformed line": 11}
    assert counts["documents_of_component"] == {"adopted": 33}
    drops = pq.read_table(tmp_path / "corpus" / "drops.parquet").to_pylist()
    assert [d["file"] for d in drops] == [f"data_{n}_time0_x.jsonl" for n in range(11)]
    assert drops[0] == {
        "record_id": "data_0_time0_x.jsonl#4",
        "uri": "",
        "file": "data_0_time0_x.jsonl",
        "offset": None,
        "rule": "read",
        "reason": "malformed line",
        "value": "7",
    }


def test_the_component_is_the_one_that_a_document_brings(tmp_path: Path) -> None:
    rows = [{"text": "a", "meta": {"pile_set_name": "Pile-CC"}}, {"text": "b", "component": "law"}, {"text": "c"}]
    corpus = adopted(tmp_path / "corpus", written(tmp_path / "a.jsonl", *rows), component="rest")
    assert [d.meta["component"] for d in corpus] == ["Pile-CC", "law", "rest"]


def test_what_adoption_sets_is_kept_as_it_was_in_original(tmp_path: Path) -> None:
    meta = {"id": 7, "source": "c4", "warc": {"x": 1}, "line": 9, "language": ["en"], "url": "u", "license": "MIT"}
    [found] = adopted(tmp_path / "one", written(tmp_path / "a.jsonl", {"text": "a", "meta": meta}))
    assert found.warc is None
    assert found.meta == {
        "url": "u",
        "license": "MIT",
        "source": "a.jsonl",
        "line": 1,
        "component": "adopted",
        "original": {"id": 7, "source": "c4", "warc": {"x": 1}, "line": 9, "language": ["en"]},
    }
    [shard] = Corpus.open(tmp_path / "one").shards
    [again] = adopted(tmp_path / "two", shard)
    assert again.id == found.id
    assert again.meta["original"] == {**found.meta["original"], "source": "a.jsonl"}


def test_an_id_of_ours_is_kept_unless_an_earlier_document_has_it(tmp_path: Path) -> None:
    ours, other = "0" * 32, "f" * 32
    first = written(tmp_path / "a.jsonl", *({"text": t, "meta": {"id": i}} for t, i in (("1", ours), ("2", ours))))
    second = written(tmp_path / "b.jsonl", *({"text": t, "meta": {"id": i}} for t, i in (("3", other), ("4", ours))))
    corpus = adopted(tmp_path / "corpus", first, second)
    assert [d.text for d in corpus] == ["1", "2", "3", "4"]
    ids = corpus.ids()
    assert ids == [ours, document_id("#2", file_digest(first)), other, document_id("#2", file_digest(second))]
    assert [d.meta.get("original") for d in corpus] == [None, {"id": ours}, None, {"id": ours}]
    assert all(corpus.fetch(d.id) == d for d in corpus)


def test_the_same_file_twice_gives_each_document_once(folder: Path, tmp_path: Path) -> None:
    path = folder / "data_0_time0_x.jsonl"
    counts = adopted(tmp_path / "corpus", path, path).manifest.counts
    assert counts["documents"] == {"in": 8, "out": 3, "dropped": 5}
    assert counts["dropped"] == {"malformed line": 2, "same record again": 3}


def test_a_corpus_of_ours_comes_back_as_it_was(tmp_path: Path) -> None:
    before = Corpus.open(small_corpus(tmp_path / "mix"), "train")
    after = adopted(tmp_path / "corpus", tmp_path / "mix" / "train")
    assert [(d.id, d.text, d.meta["component"]) for d in after] == [(d.id, d.text, d.meta["component"]) for d in before]


def test_one_process_and_two_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    adopted(tmp_path / "one", folder)
    adopted(tmp_path / "two", folder, workers=2)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.slow
def test_ray_makes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    adopted(tmp_path / "one", folder)
    script = tmp_path / "on_ray.py"
    script.write_text(
        "import sys; from pathlib import Path; from libertas.corpus.adopt import adopt; import ray\n"
        "from libertas.corpus.config import AdoptConfig\n"
        "if __name__ == '__main__':\n"
        "    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)\n"
        "    adopt(AdoptConfig(paths=(Path(sys.argv[1]),), out=Path(sys.argv[2]), engine='ray'))\n"
    )
    subprocess.run([sys.executable, script, folder, tmp_path / "ray"], check=True, capture_output=True)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "ray")


def test_an_interrupted_adoption_goes_on_with_the_files_that_are_not_done(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopted(tmp_path / "whole", folder)
    add, added = ShardWriter.add, []

    def add_some(writer: ShardWriter, item: object) -> None:
        added.append(item)
        if len(added) == 20:
            raise KeyboardInterrupt
        add(writer, item)  # type: ignore[arg-type]

    monkeypatch.setattr(ShardWriter, "add", add_some)
    with pytest.raises(KeyboardInterrupt):
        adopted(tmp_path / "corpus", folder)
    adopted(tmp_path / "corpus", folder)
    assert len(added) == 20 + 33 - 18  # six files of three documents were done, and two documents of the seventh
    assert files_of(tmp_path / "corpus") == files_of(tmp_path / "whole")
    assert not (tmp_path / "corpus" / ".notes").exists()


def test_a_torn_and_a_damaged_shard_are_saved_with_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.corpus.shard.FRAME_BYTES", 2000)
    writer = ShardWriter(tmp_path / "data_0_time0_web.jsonl.zst", 0)
    documents = [document(n) for n in range(100)]
    for item in documents:
        writer.add(item)
    writer.close()
    data = (tmp_path / "data_0_time0_web.jsonl.zst").read_bytes()
    (tmp_path / "torn.jsonl.zst").write_bytes(data[: len(data) // 2])
    saved = adopted(tmp_path / "saved", tmp_path / "torn.jsonl.zst")
    assert 20 < len(saved) < 100
    assert saved.ids() == [d.id for d in documents[: len(saved)]]
    assert saved.manifest.counts["dropped"] == {"compressed data is cut off": 1}
    flipped = bytearray(data)
    flipped[len(data) // 3] ^= 4
    (tmp_path / "flipped.jsonl.zst").write_bytes(flipped)
    saved = adopted(tmp_path / "saved-too", tmp_path / "flipped.jsonl.zst")
    counts = saved.manifest.counts
    assert counts["documents"]["in"] == 100
    assert counts["dropped"] == {"compressed data is damaged": 100 - len(saved)}


def test_files_without_any_text_are_refused_in_one_line_and_nothing_stays(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"content": "x"})
    with pytest.raises(UsageError, match=r"holds no text \(1 no text\).*--text-key"):
        adopted(tmp_path / "corpus", path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]
    assert [d.text for d in adopted(tmp_path / "corpus", path, text_key="content")] == ["x"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"paths": ()}, "paths is empty"),
        ({"component": "a b"}, "component is 'a b'"),
        ({"text_key": ""}, "text_key is empty"),
        ({"workers": 0}, "workers is 0"),
        ({"engine": "dask"}, "engine is 'dask'"),
    ],
)
def test_settings_that_adopt_nothing_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        AdoptConfig(**{"paths": (Path("a"),), "out": Path("b"), **settings})


def test_the_command_tells_what_was_lost(folder: Path, tmp_path: Path) -> None:
    (folder / "README").write_text(json.dumps("x"))
    program = [sys.executable, "-m", "libertas.cli", "adopt", folder, "--out", tmp_path / "corpus"]
    outcome = subprocess.run(program, capture_output=True, text=True, check=True)
    assert "documents 33" in outcome.stdout
    assert "11 malformed line; 1 file of another making left out ('README')" in outcome.stderr
