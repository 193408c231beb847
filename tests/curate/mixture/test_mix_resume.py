"""Looking ahead with --plan, and going on after an interruption."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from making import document, text
from said_by_hand import against, made_sidecar

from libertas.cli import main
from libertas.corpus import Corpus
from libertas.curate.mixture import writing
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.mix import mix
from libertas.curate.mixture.plan import size_text
from libertas.errors import DifferentArtifact, UsageError
from libertas.lineage.manifest import read_manifest


@pytest.fixture
def corpus(make_corpus, tmp_path) -> Path:
    documents = [document(n, "web", text(n, 170)) for n in range(30)] + [document(100 + n, "code") for n in range(20)]
    return make_corpus(documents, tmp_path / "all")


def command(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(words)


def test_the_plan_is_the_table_of_the_mixture_and_makes_nothing(corpus, tmp_path, capsys) -> None:
    said = made_sidecar([corpus], tmp_path / "said", against=[against(document(100, "code").id, "x", "no")])
    words = ["mix", str(corpus), "--decisions", str(said), "--weights.code", "1.5", "--validation", "0.1"]
    command([*words, "--plan", "--out", str(tmp_path / "mix")])
    table = capsys.readouterr().out
    assert not (tmp_path / "mix").exists()
    assert re.search(r"50 documents = 44 train, 5 validation, 1 dropped", table)
    command([*words, "--out", str(tmp_path / "mix")])
    counts = read_manifest(tmp_path / "mix").counts["components"]
    assert not (tmp_path / "mix.work").exists()
    rows = {line.split()[0]: line for line in table.splitlines() if line.split()[:1] not in ([], ["component"])}
    for name, count in ((name, counts[name]) for name in ("web", "code")):
        mean = count["raw_bytes"] / {"web": 27, "code": 17}[name]
        cells = [size_text(count["raw_bytes"]), f"{count['weight']:.4g}", f"{count['epochs']:.4g}"]
        cells += [size_text(count["bytes"]), size_text(mean), f"{count['share']:.2%}"]
        assert rows[name].split() == [name, *" ".join(cells).split()]
    assert rows["together"].split()[-1] == "100.00%"


def test_what_was_read_for_a_plan_is_not_read_again_even_for_other_weights(corpus, tmp_path, monkeypatch) -> None:
    mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix", plan=True))
    reading = tmp_path / "mix.work" / "reading" / "read" / "0-00000.parquet"
    before = reading.stat().st_mtime_ns
    mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix", plan=True, weights={"web": 2}))
    assert reading.stat().st_mtime_ns == before
    mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix", plan=True, validation=0.0))  # needs no signatures
    assert reading.stat().st_mtime_ns != before


def test_the_work_on_another_mixture_is_never_taken_for_this_one(corpus, make_corpus, tmp_path) -> None:
    mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix", plan=True))
    other = make_corpus([document(n) for n in range(10)], tmp_path / "other")
    mix(MixConfig(corpora=(other,), out=tmp_path / "mix", validation=0.0))
    assert sorted(Corpus.open(tmp_path / "mix", "train").ids()) == sorted(document(n).id for n in range(10))


def test_a_folder_of_others_is_left_alone(corpus, tmp_path) -> None:
    (tmp_path / "mix.work").mkdir()
    (tmp_path / "mix.work" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"mix\.work has files of others; expected the name to be free"):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix"))
    assert (tmp_path / "mix.work" / "thesis.txt").read_text() == "mine"


def test_a_file_in_the_way_of_the_work_is_said_in_a_line(corpus, tmp_path) -> None:
    (tmp_path / "mix.work").write_text("mine")
    with pytest.raises(UsageError, match=r"mix\.work is a file; expected the name to be free .*; choose another --out"):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix"))
    (tmp_path / "two.work").mkdir()
    (tmp_path / "two.work" / "mixing.json").write_text("[]")
    with pytest.raises(UsageError, match=r"mixing\.json is not ours; expected .*two\.work to be free; choose another"):
        mix(MixConfig(corpora=(corpus,), out=tmp_path / "two"))
    assert (tmp_path / "two.work" / "mixing.json").read_text() == "[]"


def test_a_plan_beside_a_finished_mixture_leaves_nothing_behind(corpus, tmp_path, capsys) -> None:
    mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix"))
    mix(MixConfig(corpora=(corpus,), out=tmp_path / "mix", plan=True, weights={"code": 2}))
    assert not (tmp_path / "mix.work").exists()
    assert "is kept in" not in capsys.readouterr().err


class Stop(BaseException):
    """As sudden as a kill, for one process."""


def test_an_interruption_costs_the_shard_under_way(corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("libertas.curate.mixture.mix.PART_SHARD_BYTES", 3000)
    settings = {"corpora": (corpus,), "weights": {"code": 1.5}, "validation": 0.1, "workers": 1}
    mix(MixConfig(out=tmp_path / "whole", **settings))
    written: list[str] = []
    write = writing.write_mixed

    def counting(task: writing.PartTask) -> None:
        if len(written) == 4:
            written.clear()
            raise Stop
        written.append(task.shard.name)
        write(task)

    monkeypatch.setattr("libertas.curate.mixture.writing.write_mixed", counting)
    with pytest.raises(Stop):
        mix(MixConfig(out=tmp_path / "mix", **settings))
    assert not (tmp_path / "mix").exists()
    with pytest.raises(DifferentArtifact, match="interrupted and was made differently"):
        mix(MixConfig(out=tmp_path / "mix", **settings | {"validation": 0.2}))
    mix(MixConfig(out=tmp_path / "mix", plan=True, **settings | {"validation": 0.2}))
    monkeypatch.setattr("libertas.curate.mixture.writing.write_mixed", write)
    names: list[str] = []
    monkeypatch.setattr("libertas.curate.mixture.writing.write_mixed", lambda t: (names.append(t.shard.name), write(t)))
    mix(MixConfig(out=tmp_path / "mix", **settings))
    whole, again = (read_manifest(tmp_path / name) for name in ("whole", "mix"))
    assert again.files == whole.files
    assert again.counts == whole.counts
    shards = [f.path for f in whole.files if "data_" in f.path]
    assert len(names) == len(shards) - 4
    assert not (tmp_path / "mix.work").exists()


@pytest.mark.slow
def test_a_killed_mixture_goes_on_to_the_same_bytes(make_corpus, tmp_path) -> None:
    corpus = make_corpus([document(n, content=text(n, 150)) for n in range(1500)], tmp_path / "all")
    program = (
        "import sys; from pathlib import Path; import libertas.curate.mixture.mix as m; m.PART_SHARD_BYTES = 20_000\n"
        "from libertas.curate.mixture.config import MixConfig\n"
        "if __name__ == '__main__':\n"
        "    m.mix(MixConfig(corpora=(Path(sys.argv[1]),), out=Path(sys.argv[2]), validation=0.05))\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, str(tmp_path / "program.py"), str(corpus)]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    kills = 0
    for shards in (0, 3, 8):
        process = subprocess.Popen([*command, str(tmp_path / "mix")], start_new_session=True)
        while process.poll() is None:
            if len(list((tmp_path / "mix.work").glob("notes/train-*.json"))) > shards:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.001)
        process.wait()
    subprocess.run([*command, str(tmp_path / "mix")], check=True)
    assert kills > 0
    assert read_manifest(tmp_path / "mix").files == read_manifest(tmp_path / "whole").files
