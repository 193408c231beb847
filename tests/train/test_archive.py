"""Saving while training goes on: full disks, a second place, budgets, and a thread that writes."""

import errno
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from making import small_corpus

from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train import archive, checkpoint, cold
from libertas.train.archive import Archive
from libertas.train.chain import read_chain
from libertas.train.checkpoint import load_checkpoint, saved_under, step_of
from libertas.train.config import TrainConfig
from libertas.train.journal import read_metrics
from libertas.train.loop import train
from libertas.train.writer import Writer

SETTINGS: dict[str, Any] = {
    "model": "tiny", "steps": 36, "batch": 4, "micro_batch": 4, "checkpoint_every": 6, "check_every": 9,
    "validate_every": 100, "threads": 1,
}  # fmt: skip
CHECKPOINTS = [0, 1, 2, 4, 6, 8, 12, 16, 18, 24, 30, 32, 36]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    return folder / "tokens"


@pytest.fixture(scope="module")
def undisturbed(tokens: Path) -> Path:
    train(TrainConfig(tokens=tokens, out=tokens.parent / "run", **SETTINGS))
    return tokens.parent / "run"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def steps_under(folder: Path) -> list[int]:
    return [step_of(path) for path in saved_under(folder)]


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017


def at_each_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """Do something before each step is saved."""
    after = Archive.after

    def acting(self: Archive, step: int, *rest: Any) -> list[str]:
        act(step)
        return after(self, step, *rest)

    monkeypatch.setattr(Archive, "after", acting)


def require_same_training(out: Path, undisturbed: Path) -> None:
    assert load_checkpoint(out).weights_hash == load_checkpoint(undisturbed).weights_hash
    assert read_chain(out) == read_chain(undisturbed)
    assert [r["step"] for r in read_metrics(out / "metrics.jsonl")] == list(range(1, SETTINGS["steps"] + 1))
    assert read_manifest(out).content == read_manifest(undisturbed).content


def test_a_disk_that_fills_up_and_empties_again_stops_nothing_and_is_told(
    small_disk: Path,
    tokens: Path,
    undisturbed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def act(step: int) -> None:
        if step == 10 or 14 <= step < 22:
            fill(small_disk)
        elif step == 22:
            (small_disk / "filler").unlink()

    at_each_step(monkeypatch, act)
    out = small_disk / "run"
    train(TrainConfig(tokens=tokens, out=out, save_seconds=0.0, **SETTINGS))
    require_same_training(out, undisturbed)
    told = [event for row in read_metrics(out / "metrics.jsonl") for event in row.get("events", [])]
    said = " ".join(capsys.readouterr().err.split())
    for part in ("removed to make room: ", "not saved, the disk is full; training goes on", "saved again"):
        assert any(part in event for event in told), part
        assert part in said
    assert steps_under(out / "checkpoints")[-3:] == [30, 32, 36]
    assert not list(out.glob("*/*.partial"))
    assert sorted(p.name for p in out.iterdir()) == [
        "chain.jsonl", "checkpoints", "manifest.json", "metrics.jsonl", "resume",
    ]  # fmt: skip


def test_a_disk_that_stays_full_has_room_for_the_last_checkpoint(
    small_disk: Path, tokens: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_each_step(monkeypatch, lambda step: fill(small_disk) if step >= 10 else None)
    out = small_disk / "run"
    train(TrainConfig(tokens=tokens, out=out, save_seconds=0.0, **SETTINGS))
    require_same_training(out, undisturbed)
    assert steps_under(out / "checkpoints")[0] == 0


def test_a_disk_that_goes_away_while_training_is_told_and_forgiven(
    tokens: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, now = checkpoint.write_checkpoint, [0]

    def failing(out: Path, *rest: Any) -> Path:
        if 10 <= now[0] < 22:
            raise OSError(errno.EIO, "Input/output error")
        return write(out, *rest)

    monkeypatch.setattr(archive, "write_checkpoint", failing)
    at_each_step(monkeypatch, lambda step: now.__setitem__(0, step))
    out = tmp_path / "run"
    train(TrainConfig(tokens=tokens, out=out, **SETTINGS))
    require_same_training(out, undisturbed)
    told = [event for row in read_metrics(out / "metrics.jsonl") for event in row.get("events", [])]
    assert any("checkpoints not saved, the disk is away; training goes on" in event for event in told)
    assert any("checkpoints saved again" in event for event in told)


def test_other_errors_of_the_writing_thread_end_the_training(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Path:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(archive, "write_checkpoint", failing)
    with pytest.raises(RuntimeError, match="a mistake"):
        train(TrainConfig(tokens=tokens, out=tmp_path / "run", **SETTINGS))


def test_the_writer_runs_one_job_at_a_time_and_tells_errors_later() -> None:
    writer, gate, order = Writer(), threading.Event(), []

    def first() -> list[str]:
        gate.wait(10)
        order.append(1)
        return ["first"]

    def second() -> list[str]:
        order.append(2)
        raise ValueError("second")

    writer.start(first)
    assert writer.busy
    assert writer.events() == []
    threading.Timer(0.05, gate.set).start()
    writer.start(second)  # waits for the first
    writer.wait()
    assert order == [1, 2]
    with pytest.raises(ValueError, match="second"):
        writer.events()
    assert writer.events() == ["first"]


def test_budgets_thin_each_tier_and_change_nothing_that_counts(tokens: Path, undisturbed: Path, tmp_path: Path) -> None:
    size = sum(p.stat().st_size for p in (undisturbed / "checkpoints" / "step-00000036").rglob("*"))
    budgets = {"checkpoints_gigabytes": 5.5 * size / 1e9, "states_gigabytes": 8 * size / 1e9, "state_every": 4}
    out = tmp_path / "run"
    train(TrainConfig(tokens=tokens, out=out, **{**SETTINGS, **budgets}))
    kept = steps_under(out / "checkpoints")
    assert len(kept) in (4, 5)
    assert (kept[0], kept[-1]) == (0, 36)
    states = steps_under(out / "states")
    assert 2 <= len(states) < 9
    assert (states[0], states[-1]) == (4, 36)
    assert load_checkpoint(out).weights_hash == load_checkpoint(undisturbed).weights_hash
    assert read_manifest(out).content != read_manifest(undisturbed).content  # it has another state_every
    wide = tmp_path / "wide"
    train(TrainConfig(tokens=tokens, out=wide, **{**SETTINGS, "state_every": 4}))
    assert read_manifest(out).content == read_manifest(wide).content


def test_a_budget_too_small_for_one_checkpoint_is_refused_before_the_first_step(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the budget is too small for one checkpoint"):
        train(TrainConfig(tokens=tokens, out=tmp_path / "run", checkpoints_gigabytes=1e-6, **SETTINGS))
    assert not (tmp_path / "run").exists()


def test_copies_survive_a_target_that_fails_twice_and_can_be_used_alone(
    tokens: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, failures = cold.FolderTarget.copy, [2]

    def flaky(self: cold.FolderTarget, source: Path) -> None:
        if source.is_dir() and failures[0]:
            failures[0] -= 1
            shutil.copytree(source, self.folder / (source.name + ".partial"), dirs_exist_ok=True)
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        copy(self, source)

    monkeypatch.setattr(cold.FolderTarget, "copy", flaky)
    monkeypatch.setattr(cold, "FIRST_WAIT", 0.01)
    budget = 4.5 * sum(p.stat().st_size for p in (undisturbed / "checkpoints" / "step-00000036").rglob("*")) / 1e9
    out, second = tmp_path / "run", tmp_path / "second"
    train(TrainConfig(tokens=tokens, out=out, archive=str(second), checkpoints_gigabytes=budget, **SETTINGS))
    assert failures == [0]
    assert steps_under(second) == CHECKPOINTS  # all of them, though the run's folder keeps only a few
    assert not list(second.glob("*.partial"))
    shutil.rmtree(out)
    for path in saved_under(second):
        assert load_checkpoint(path).step == step_of(path)
        theirs = undisturbed / "checkpoints" / path.name
        assert read_manifest(path).content == read_manifest(theirs).content


def test_a_run_that_is_finished_can_be_archived_later_and_behind_an_address(undisturbed: Path, tokens: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    train(TrainConfig(tokens=tokens, out=undisturbed, archive="memory://second/run", **SETTINGS))
    files = fsspec.filesystem("memory")
    assert len(files.glob("/second/run/step-*/manifest.json")) == len(CHECKPOINTS)
    for path in saved_under(undisturbed / "checkpoints"):
        for file in path.iterdir():
            assert files.cat_file(f"/second/run/{path.name}/{file.name}") == file.read_bytes()


def test_an_archive_of_another_run_is_not_taken_for_a_copy(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cold, "FIRST_WAIT", 0.01)
    second = str(tmp_path / "second")
    short = {**SETTINGS, "steps": 4}
    train(TrainConfig(tokens=tokens, out=tmp_path / "one", archive=second, **short))
    before = {p: p.read_bytes() for p in Path(second).rglob("*") if p.is_file()}
    train(TrainConfig(tokens=tokens, out=tmp_path / "two", archive=second, seed=1, **short))
    assert "the archive holds step-00000000 of another run; choose another" in " ".join(capsys.readouterr().err.split())
    assert {p: p.read_bytes() for p in Path(second).rglob("*") if p.is_file()} == before


def test_an_address_that_nothing_installed_understands_is_refused(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"archive is nowhere://x: .*; expected a folder, or an address"):
        train(TrainConfig(tokens=tokens, out=tmp_path / "run", archive="nowhere://x", **SETTINGS))
    assert not (tmp_path / "run").exists()
