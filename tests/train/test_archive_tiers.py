"""What is kept when not everything can be, and whether a plan fits."""

import errno
import os
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from libertas.errors import UsageError
from libertas.lineage.manifest import MANIFEST
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.train import space
from libertas.train.config import TrainConfig
from libertas.train.journal import Journal, read_metrics
from libertas.train.optimizer import make_optimizers, state_tensors
from libertas.train.tiers import checkpoint_steps, leaving_order, thin

STEPS = st.sets(st.integers(0, 200_000), min_size=1, max_size=60)


@given(STEPS)
def test_the_newest_never_leaves_the_first_leaves_last_and_each_other_leaves_once(steps: set[int]) -> None:
    order = leaving_order(steps)
    assert sorted([*order, max(steps)]) == sorted(steps)
    assert not order or order[-1] == min(steps)


@given(STEPS, st.integers(1, 60))
def test_what_leaves_is_where_neighbours_are_nearest(steps: set[int], keep: int) -> None:
    left = sorted(steps)
    order = leaving_order(steps)
    for gone in order[: max(0, len(left) - max(keep, 2))]:  # so what is kept of n steps includes what is kept of fewer
        place = {s: torch.tensor(1.0 + s).log2() / torch.tensor(1.0 + left[-1]).log2() + s / left[-1] for s in left}
        gaps = {b: float(place[c] - place[a]) for a, b, c in zip(left, left[1:], left[2:], strict=False)}
        assert gaps[gone] <= min(gaps.values()) + 1e-5
        left.remove(gone)


def test_pythias_steps_thin_to_a_few_early_and_evenly_many_late_ones(tmp_path: Path) -> None:
    config = TrainConfig(tokens=tmp_path, out=tmp_path, steps=143_000, checkpoint_every=1000)
    steps = checkpoint_steps(config)
    kept = sorted(set(steps) - set(leaving_order(steps)[: len(steps) - 12]))
    assert kept[0] == 0
    assert kept[-1] == 143_000
    assert len([step for step in kept if 0 < step < 1000]) == 2
    late = [step for step in kept if step >= 10_000]
    assert len(late) >= 6
    assert max(after - before for before, after in pairwise(late)) <= 35_000


def saved(parent: Path, steps: range, size: int) -> None:
    for step in steps:
        folder = parent / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_bytes(b" " * size)


def test_a_budget_removes_in_order_and_spares_what_it_must(tmp_path: Path) -> None:
    saved(tmp_path, range(5), 100)
    assert thin(tmp_path, 300, [3, 1, 2, 0], spared={3}) == [1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000000", "step-00000003", "step-00000004"]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(ModelConfig(vocabulary=300, width=32, layers=1, heads=2, context=64), seed=0)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_the_estimate_before_the_first_step_is_what_a_state_takes(model: Model, optimizer: str) -> None:
    config = TrainConfig(tokens=Path("t"), out=Path("o"), optimizer=optimizer)
    optimizers = make_optimizers(model, config)
    small, whole = space.planned_bytes(dict(model.state_dict()), optimizers)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for each in optimizers.values():
        each.step()
    kept = sum(t.numel() * t.element_size() for t in state_tensors(model, optimizers).values())
    assert small - space.BESIDE_TENSORS == 4 * model.parameter_count()
    assert 0 <= kept - (whole - small) <= 4 * len(list(model.parameters()))  # and a counter for each parameter


def test_a_plan_that_cannot_fit_is_refused_and_one_that_thinning_makes_fit_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(**changes: float) -> None:
        config = TrainConfig(tokens=tmp_path, out=tmp_path, steps=1000, state_every=100, **changes)  # type: ignore[arg-type]
        space.require_room(config, tmp_path, 10_000_000, 30_000_000)

    with pytest.raises(
        UsageError, match=r"checkpoints_gigabytes is 0\.009; the budget is too small for one checkpoint"
    ):
        plan(checkpoints_gigabytes=0.009)
    for name in ("resume_gigabytes", "states_gigabytes"):
        with pytest.raises(UsageError, match=rf"{name} is 0\.029; the budget is too small for one full state"):
            plan(**{name: 0.029})
    free = 39_000_000
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    with pytest.raises(UsageError, match=r"has room for 0\.039 GB; a checkpoint and a full state take 0\.04 GB"):
        plan()
    free = 500_000_000
    plan(states_gigabytes=0.1)
    said = " ".join(capsys.readouterr().err.split())
    assert "states: 10 of 0.03 GB are planned and 3 fit into states_gigabytes; the least informative go first" in said
    assert "room for 0.5 GB" not in said  # 16 checkpoints, 3 states and 3 newest: 0.35 GB
    plan()
    assert "has room for 0.5 GB and the plan takes 0.55 GB" in " ".join(capsys.readouterr().err.split())


def test_lines_wait_while_the_disk_is_full_and_none_is_torn_or_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, write = 1000, os.write

    def limited(file: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(file, data[:room])
        room -= count
        return count

    monkeypatch.setattr(os, "write", limited)
    journal = Journal(tmp_path, 0)
    room = 50  # two lines and a half
    for step in range(1, 6):
        journal.write({"step": step, "loss": 0.25})
    assert not journal.settled()
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]
    room = 1000
    journal.write({"step": 6, "loss": 0.25})
    assert journal.settled()
    assert (tmp_path / "metrics.jsonl").read_bytes().count(b"\n") == 6
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    room = 0
    journal.write({"step": 7})
    with pytest.raises(OSError, match="No space left"):
        journal.close()
