"""Many archives: parts of lists, several processes, a cluster, and runs that are killed and go on."""

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from gzip import compress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from libertas.corpus import Corpus, read_shard, shard_name
from libertas.errors import UsageError
from libertas.gather import documents, warc
from libertas.gather.config import GatherConfig, PlanConfig
from libertas.gather.documents import DROPS, NOTES, _remove_notes, gather, recipe_of
from libertas.gather.inputs import inputs_of, part_of
from libertas.gather.plan import GatherPlan, Sample, plan_gathering, plan_table
from libertas.gather.shards import ArchiveTask, Note, finished, gather_alone, merged, page_limits, record_batches

DATE = "2026-01-31T12:00:00Z"


def page(name: str, pages: str = "") -> bytes:
    """A page with an address and a text of its own, as a member of an archive."""
    text = f"This is the page with the name {name}, and it says what it has to say in a few plain words. {pages}"
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{text}".encode()
    uri = f"http://a.example/{name}"
    return warc.written("response", uri, DATE, f"urn:x:{name}", "application/http; msgtype=response", block)


def missing(name: str) -> bytes:
    """A page that is not there."""
    uri = f"http://a.example/{name}"
    return warc.written("response", uri, DATE, f"urn:x:{name}", "application/http", b"HTTP/1.1 404 No\r\n\r\nno")


def archives_in(folder: Path, number: int, pages: int = 3) -> list[Path]:
    """Archives `0.warc.gz` and so on, each with pages of its own and one that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n in range(number):
        path = folder / f"{n}.warc.gz"
        path.write_bytes(b"".join(page(f"{n}-{m}") for m in range(pages)) + missing(f"{n}-none"))
        paths.append(path)
    return paths


def config_of(out: Path, *archives: Path, **changes: Any) -> GatherConfig:
    return GatherConfig(archives=archives, out=out, **{"workers": 1, **changes})


def names_in(corpus: Corpus) -> list[str]:
    return [document.meta["url"].rpartition("/")[2] for document in corpus]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of an artifact but its manifest, which tells the time it was made."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "manifest.json"}


def tasks_of(folder: Path, archives: list[Path]) -> list[ArchiveTask]:
    (folder / "corpus").mkdir(exist_ok=True)
    recipe = recipe_of(config_of(folder, *archives))
    return [
        ArchiveTask(
            number=number,
            archive=str(archive),
            prefix="",
            corpus=folder / "corpus",
            notes=folder / "notes",
            fingerprint="f",
            recipe=recipe,
            limits=page_limits(30.0, recipe),
        )
        for number, archive in enumerate(archives)
    ]


def test_each_archive_is_a_shard_and_documents_keep_the_order_of_the_archives(tmp_path: Path) -> None:
    first, second = archives_in(tmp_path / "in", 2)
    corpus = gather(config_of(tmp_path / "c", second, first))
    assert names_in(corpus) == ["1-0", "1-1", "1-2", "0-0", "0-1", "0-2"]
    assert [shard.name for shard in corpus.shards] == [shard_name(0, "web"), shard_name(1, "web")]
    assert [len(list(read_shard(shard))) for shard in corpus.shards] == [3, 3]
    assert not (tmp_path / f"c{NOTES}").exists()
    for number, document in enumerate(corpus):
        assert corpus.document(number) == corpus.fetch(document.id) == document


def test_one_worker_and_two_make_the_same_bytes(tmp_path: Path) -> None:
    paths = archives_in(tmp_path / "in", 2, pages=80)  # more than one batch each
    corpora = [gather(config_of(tmp_path / str(w), *paths, workers=w)) for w in (1, 2)]
    one, two = (bytes_of(corpus.path) for corpus in corpora)
    assert one == two
    assert len(corpora[0]) == 160
    assert corpora[0].manifest.content == corpora[1].manifest.content


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ray_makes_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    paths = archives_in(tmp_path / "in", 3)
    for engine in ("local", "ray"):  # in processes of their own: Ray leaves its own running in the one it is in
        settings = f"archives={tuple(map(str, paths))!r}, out={str(tmp_path / engine)!r}, engine={engine!r}"
        script = tmp_path / f"on_{engine}.py"
        script.write_text(
            "from pathlib import Path\n"
            "from libertas.gather.config import GatherConfig\n"
            "from libertas.gather.documents import gather\n"
            f"given = dict({settings})\n"
            "given['archives'], given['out'] = tuple(map(Path, given['archives'])), Path(given['out'])\n"
            "if __name__ == '__main__':\n"
            "    gather(GatherConfig(**given))\n"
        )
        subprocess.run([sys.executable, script], check=True, capture_output=True, timeout=240)
    assert bytes_of(tmp_path / "local") == bytes_of(tmp_path / "ray")
    assert len(Corpus.open(tmp_path / "ray")) == 9


def test_a_record_that_stands_in_several_archives_is_a_document_once(tmp_path: Path) -> None:
    paths = archives_in(tmp_path, 3)
    paths[1].write_bytes(page("1-0") + page("0-1") + page("1-1") + page("1-0"))
    paths[2].write_bytes(page("0-2") + page("2-0") + page("1-1"))
    corpus = gather(config_of(tmp_path / "c", *paths))
    assert names_in(corpus) == ["0-0", "0-1", "0-2", "1-0", "1-1", "2-0"]
    rows = pq.read_table(tmp_path / "c" / DROPS).to_pylist()
    again = [(r["file"], r["uri"].rpartition("/")[2], r["rule"]) for r in rows if r["reason"] == "same record again"]
    assert sorted(again) == [
        ("1.warc.gz", "0-1", "warc"),
        ("1.warc.gz", "1-0", "warc"),
        ("2.warc.gz", "0-2", "warc"),
        ("2.warc.gz", "1-1", "warc"),
    ]
    assert corpus.manifest.counts["documents"] == {"in": 11, "out": 6, "dropped": 5}
    offsets = {r["file"]: r["offset"] for r in rows if r["uri"].endswith("0-2")}
    assert offsets == {"2.warc.gz": 0}
    for number, document in enumerate(corpus):
        assert corpus.document(number) == document


def test_an_archive_may_repeat_nothing_but_others(tmp_path: Path) -> None:
    first, second = archives_in(tmp_path, 2)
    second.write_bytes(first.read_bytes())
    corpus = gather(config_of(tmp_path / "c", first, second))
    assert names_in(corpus) == ["0-0", "0-1", "0-2"]
    assert corpus.manifest.counts["documents"] == {"in": 8, "out": 3, "dropped": 5}


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = archives_in(tmp_path / "in", 3)
    config = config_of(tmp_path / "c", *paths)
    done: list[str] = []
    away = [str(paths[1])]
    real = documents.gather_archive

    def gather_archive(task: ArchiveTask, *rest: Any) -> Note:
        done.append(task.archive)
        if task.archive in away:
            raise UsageError(f"{task.archive} cannot be fetched")
        return real(task, *rest)

    monkeypatch.setattr(documents, "gather_archive", gather_archive)
    with pytest.raises(UsageError, match=r"1\.warc\.gz cannot be fetched"):
        gather(config)
    assert done == [str(path) for path in paths]
    assert not (tmp_path / "c").exists()
    for _ in range(2):  # the first time it is still away
        done.clear()
        shard = tmp_path / "c.partial" / shard_name(0, "web")
        before = shard.stat().st_mtime_ns
        with pytest.raises(UsageError) if away else nullcontext():
            gather(config)
        assert done == [str(paths[1])]
        assert away == [] or shard.stat().st_mtime_ns == before
        away.clear()
    assert bytes_of(tmp_path / "c") == bytes_of(gather(config_of(tmp_path / "whole", *paths)).path)


def test_a_finished_shard_that_was_damaged_since_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = archives_in(tmp_path / "in", 2)
    config = config_of(tmp_path / "c", *paths)

    def refuse(*_: Any) -> None:
        raise UsageError("stop")

    with monkeypatch.context() as patch:
        patch.setattr(documents, "merged", refuse)
        with pytest.raises(UsageError, match="stop"):
            gather(config)
    shard = tmp_path / "c.partial" / shard_name(1, "web")
    shard.write_bytes(shard.read_bytes()[:-5])
    assert names_in(gather(config)) == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]


def test_finished_files_are_taken_only_if_they_are_what_the_note_says(tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, archives_in(tmp_path / "in", 1))
    assert finished(task) is None
    made = gather_alone(task)
    assert finished(task) == made
    assert (made.documents, made.dropped) == (3, Counter({"HTTP status": 1}))
    for path in (task.shard, task.rows, task.drops):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert finished(task) is None, path.name
        path.unlink()
        assert finished(task) is None, path.name
        path.write_bytes(before)
    assert finished(task) == made
    for other in ({"fingerprint": "g"}, {"archive": "b"}):
        assert finished(ArchiveTask(**{**vars(task), **other})) is None
    for said in (b"", b"[]", b"{}", b"\xff"):
        task.note.write_bytes(said)
        assert finished(task) is None


def test_a_task_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    paths = archives_in(tmp_path / "in", 1)
    paths[0].write_bytes(b"no archive\n" * 50)
    (task,) = tasks_of(tmp_path, paths)
    with pytest.raises(UsageError):
        gather_alone(task)
    assert [*task.corpus.iterdir(), *task.notes.iterdir()] == []


def test_when_archives_fail_the_others_are_done_and_all_are_counted(tmp_path: Path) -> None:
    paths = archives_in(tmp_path / "in", 4)
    for path in paths[1:3]:
        path.write_bytes(b"this is no archive\n" * 9)
    with pytest.raises(UsageError, match=r"1\.warc\.gz.*1 more archives failed; the others are done: run the same"):
        gather(config_of(tmp_path / "c", *paths))
    notes = [p.name for p in (tmp_path / f"c{NOTES}").iterdir() if p.suffix == ".json"]
    assert sorted(notes) == ["0.json", "3.json"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_is_killed_loses_at_most_the_archive_in_hand(tmp_path: Path) -> None:
    paths = archives_in(tmp_path / "in", 6, pages=400)
    given = [sys.executable, "-m", "libertas.cli", "gather", *map(str, paths), "--workers", "1"]
    subprocess.run([*given, "--out", tmp_path / "whole"], check=True, capture_output=True, timeout=120)
    notes, killed = tmp_path / f"c{NOTES}", 0
    seen: dict[str, int] = {}
    while not (tmp_path / "c").exists() and killed < 6:
        run = subprocess.Popen(
            [*given, "--out", tmp_path / "c"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        while run.poll() is None and len(list(notes.glob("*.json"))) <= len(seen):
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
        _, errors = run.communicate()
        killed += 1
        if (tmp_path / "c").exists():
            break
        now = {note.name: note.stat().st_mtime_ns for note in notes.glob("*.json")}
        assert seen.items() <= now.items(), "a finished archive was done again"
        assert len(now) > len(seen), errors
        seen = now
    subprocess.run([*given, "--out", tmp_path / "c"], check=True, capture_output=True, timeout=120)
    assert killed > 1
    assert bytes_of(tmp_path / "c") == bytes_of(tmp_path / "whole")
    assert not notes.exists()


def test_the_shards_of_a_list_have_each_archive_once(tmp_path: Path) -> None:
    paths = archives_in(tmp_path, 7)
    listed = tmp_path / "all.paths"
    listed.write_text("".join(f"{path.name}\n" for path in paths))
    parts = [inputs_of([listed], shard=f"{n}/3").archives for n in (1, 2, 3)]
    assert [[Path(a).name[0] for a in part] for part in parts] == [["0", "3", "6"], ["1", "4"], ["2", "5"]]
    second = gather(config_of(tmp_path / "c", listed, shard="2/3"))
    assert names_in(second) == ["1-0", "1-1", "1-2", "4-0", "4-1", "4-2"]


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "1/", "a/b", "-1/2", "1/3/5", "01/3", " 1/3", ""])
def test_a_part_that_does_not_exist_is_refused(shard: str) -> None:
    with pytest.raises(UsageError, match="such as '3/100'; count from 1"):
        part_of(shard)


def test_more_parts_than_archives_leave_some_empty_which_is_said(tmp_path: Path) -> None:
    (path,) = archives_in(tmp_path, 1)
    assert inputs_of([path], shard="1/2").archives == (str(path),)
    with pytest.raises(UsageError, match="shard is '2/2'; expected one with an archive in it"):
        inputs_of([path], shard="2/2")


def test_lists_are_plain_or_packed_and_start_from_their_folder_or_a_prefix(tmp_path: Path) -> None:
    archives_in(tmp_path / "crawl" / "x", 2)
    lines = b"x/0.warc.gz\n\n  x/1.warc.gz \n"
    plain, packed = tmp_path / "crawl" / "warc.paths", tmp_path / "warc.paths.gz"
    plain.write_bytes(lines)
    packed.write_bytes(compress(lines))
    here = str(tmp_path / "crawl")
    wanted = (f"{here}/x/0.warc.gz", f"{here}/x/1.warc.gz")
    assert inputs_of([plain]).archives == wanted
    for prefix in (here, here + "/"):
        assert inputs_of([packed], prefix).archives == wanted
    assert inputs_of([packed], "https://d.example/").archives[0] == "https://d.example/x/0.warc.gz"
    found = inputs_of([plain])
    assert found.lineage == {"list": [plain], "archive": [Path(a) for a in wanted]}
    assert names_in(gather(config_of(tmp_path / "c", packed, prefix=here))) == [
        "0-0",
        "0-1",
        "0-2",
        "1-0",
        "1-1",
        "1-2",
    ]


def test_addresses_of_a_list_stand_for_themselves(tmp_path: Path) -> None:
    listed = tmp_path / "a.txt"
    listed.write_text("https://a.example/1.warc.gz\ns3://bucket/2.warc.gz\n")
    found = inputs_of([listed], "https://other.example/")
    assert found.archives == ("https://a.example/1.warc.gz", "s3://bucket/2.warc.gz")
    assert found.lineage == {"list": [listed]}


def test_an_address_may_be_given_in_place_of_a_path() -> None:
    for address in ("https://a.example/x/1.warc.gz", "s3://bucket/1.warc.gz"):
        found = inputs_of([Path(address)])  # a path keeps one of two slashes
        assert (found.archives, found.lineage) == ((address,), {})


def test_batches_hold_a_number_of_records_or_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(page(str(n)) for n in range(70)))
    batches = list(record_batches(warc.records(path)))
    assert [len(batch) for batch in batches] == [32, 32, 6]
    assert [item for batch in batches for item in batch] == list(warc.records(path))
    path.write_bytes(b"".join(page(str(n), "x" * (3 << 20)) for n in range(5)))
    assert [len(batch) for batch in record_batches(warc.records(path))] == [2, 2, 1]


def test_parts_that_are_done_apart_are_put_together_as_if_done_at_once(tmp_path: Path) -> None:
    paths = archives_in(tmp_path / "in", 3)
    tasks = tasks_of(tmp_path, paths)
    notes: list[Note] = [gather_alone(task) for task in reversed(tasks)][::-1]
    merged(tasks, notes, tmp_path / "corpus")
    assert bytes_of(tmp_path / "corpus") == bytes_of(gather(config_of(tmp_path / "c", *paths)).path)


def test_a_plan_of_whole_archives_counts_what_gathering_finds(tmp_path: Path) -> None:
    paths = archives_in(tmp_path / "in", 3, pages=40)
    plan = plan_gathering(PlanConfig(archives=tuple(paths), files=3))
    corpus = gather(config_of(tmp_path / "c", *paths))
    assert plan.archives == 3
    assert plan.total(lambda s: s.whole(s.documents)) == (len(corpus), 0.0)
    assert plan.total(lambda s: s.whole(s.text_bytes)) == (corpus.manifest.counts["text_bytes"], 0.0)
    assert plan.total(lambda s: s.size) == (sum(p.stat().st_size for p in paths), 0.0)
    dropped = sum((s.dropped for s in plan.samples), Counter[str]())
    assert dropped == corpus.manifest.counts["dropped"]
    assert all(0 < s.reading <= s.seconds for s in plan.samples)


def test_a_plan_reads_only_beginnings_and_samples_evenly(tmp_path: Path) -> None:
    paths = archives_in(tmp_path, 9, pages=300)
    config = PlanConfig(archives=tuple(paths), files=3, megabytes=0.02)
    plan = plan_gathering(config)
    assert [Path(s.archive).name[0] for s in plan.samples] == ["1", "4", "7"]
    for sample in plan.samples:
        assert sample.read <= 20_000 < sample.size
        assert sample.whole(sample.documents) == pytest.approx(300, rel=0.05)
    table = plan_table(plan)
    assert table[0].title == "3 of 9 archives sampled"


def test_the_uncertainty_of_a_plan_is_students_and_none_where_all_was_sampled() -> None:
    config = PlanConfig(archives=(Path("a"),))

    def plan(archives: int, *sizes: int) -> GatherPlan:
        return GatherPlan(tuple(Sample(archive="a", size=s, read=s) for s in sizes), archives, config)

    # mean 2, standard deviation 1, n = 3 of 12: 4.30 * 1 / sqrt(3) * sqrt(1 - 3 / 12) * 12 = 25.8
    assert plan(12, 1, 2, 3).total(lambda s: s.size) == (24, pytest.approx(25.8, abs=0.01))
    assert plan(3, 1, 2, 3).total(lambda s: s.size) == (6, 0.0)
    assert plan(5, 2).total(lambda s: s.size) == (10, float("inf"))


def test_a_plan_says_what_it_cannot_do(tmp_path: Path) -> None:
    (path,) = archives_in(tmp_path, 1)
    with pytest.raises(UsageError, match="has no whole record in its first 10 bytes; choose more --megabytes"):
        plan_gathering(PlanConfig(archives=(path,), megabytes=1e-5))
    other = tmp_path / "b.warc.gz"
    other.write_bytes(b"this is no archive\n" * 9)
    with pytest.raises(UsageError, match=r"b\.warc\.gz begins with"):
        plan_gathering(PlanConfig(archives=(other,)))
    pointers = tmp_path / "a.cdxj"
    shutil.copy(path, pointers)
    with pytest.raises(UsageError, match="holds pointers; expected archives or lists"):
        plan_gathering(PlanConfig(archives=(pointers,)))
    with pytest.raises(UsageError, match="files is 0"):
        PlanConfig(archives=(path,), files=0)


def test_a_folder_that_only_has_the_name_of_notes_keeps_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / f"c{NOTES}"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    (folder / "0.json").write_text("{}")
    _remove_notes(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
