"""A process that is killed: the others say which one and stop, and a launcher that starts them again loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from making import small_corpus

from libertas.lineage.manifest import read_manifest
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train import heartbeat
from libertas.train.heartbeat import Heartbeat
from libertas.train.journal import read_metrics

WITHIN = 60.0
"""Seconds in which the others must have stopped."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "SUSPICION_SECONDS", 0.5)


def beating(count: int) -> list[Heartbeat]:
    store = torch.distributed.HashStore()
    return [Heartbeat(store, rank, count, "runs/first") for rank in range(count)]


@pytest.mark.usefixtures("quick")
def test_who_no_longer_beats_is_named() -> None:
    beats = beating(4)
    beats[0].step = 12
    assert beats[0].missing() is None
    for killed in (1, 3):
        beats[killed]._leaving.set()
        beats[killed]._thread.join()
    assert beats[0].missing() == (
        "rank 1, 3 of 4 is gone after step 12; what was saved is in runs/first.partial, and the same command continues "
        "from the newest state there"
    )
    for beat in beats:
        beat.stop()


@pytest.mark.usefixtures("quick")
def test_who_leaves_with_a_reason_is_quoted_and_who_leaves_without_one_is_not_missed() -> None:
    beats = beating(3)
    beats[2].stop()
    assert beats[0].missing() is None
    beats[1].stop("rank 1 of 3 stopped: MemoryError")
    assert beats[0].missing() == "rank 1 of 3 stopped: MemoryError"
    beats[0].stop()


def launch(tokens: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *options, "-m", "libertas"]
    settings = {"model": "tiny", "steps": 60, "batch": 4, "micro-batch": 2, "threads": 1, "save-seconds": 0.2}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""}
    words += ["train", str(tokens), "--out", str(out), "--device", "cpu"]
    words += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def kill_one(launcher: subprocess.Popen[str], rank: int, partial: Path, after: int) -> None:
    """Kill the process of a rank once the journal has the lines of some steps."""
    while len(read_metrics(partial / "metrics.jsonl")) < after:
        assert launcher.poll() is None, launcher.communicate()[1][:3000]
        time.sleep(0.02)
    for task in Path(f"/proc/{launcher.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                os.kill(int(child), signal.SIGKILL)
                return
    raise AssertionError(f"the launcher has no rank {rank}")


@pytest.mark.slow
def test_a_killed_process_is_named_within_a_minute_and_restarts_end_in_the_same_weights(tmp_path: Path) -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("children are found through /proc")
    tokenize(TokenizeConfig(corpus=small_corpus(tmp_path / "mix", 400), out=tmp_path / "tokens", vocabulary=300))
    whole = launch(tmp_path / "tokens", tmp_path / "whole")
    _, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors

    killed = launch(tmp_path / "tokens", tmp_path / "run")
    partial = tmp_path / "run.partial"
    kill_one(killed, 1, partial, 20)
    struck = time.monotonic()
    _, errors = killed.communicate(timeout=300)
    assert time.monotonic() - struck < WITHIN
    assert killed.returncode != 0
    assert "libertas: rank 1 of 2 is gone after step" in errors
    assert f"what was saved is in {partial}, and the same command continues" in errors

    shutil.copytree(partial, tmp_path / "again.partial")
    again = launch(tmp_path / "tokens", tmp_path / "again", "--max-restarts", "2")
    kill_one(again, 0, tmp_path / "again.partial", 40)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert "rank 0 of 2 is gone after step" in errors
    counts = [read_manifest(tmp_path / name).counts for name in ("whole", "again")]
    assert counts[0]["weights"] == counts[1]["weights"]
    losses = [[row["loss"] for row in read_metrics(tmp_path / name / "metrics.jsonl")] for name in ("whole", "again")]
    assert losses[0] == losses[1]
