"""Spikes: what counts as one, what each policy does about it, and the same bits however often a run is interrupted."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from making import small_corpus

from libertas.errors import LibertasError
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.contents import contents_of
from libertas.tokenize.order import Order
from libertas.tokenize.pack import Batch, read_batch
from libertas.tokenize.store import TokenStore, tokenize
from libertas.train import watch as watching
from libertas.train.config import TrainConfig
from libertas.train.journal import read_metrics
from libertas.train.loop import train
from libertas.train.step import Measured, Step
from libertas.train.watch import Judgement, RollBack, Usual, Watch, not_applied, read_spikes, take_back

SPIKE = 14
"""The step that is made to spike."""
SETTINGS: dict[str, Any] = {
    "model": "tiny",
    "steps": 20,
    "batch": 2,
    "micro_batch": 2,
    "validate_every": 100,
    "threads": 1,
}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watch")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    return folder / "tokens"


def watch_of(tokens: Path, rows: list[dict[str, Any]], folder: Path, **changes: Any) -> Watch:
    config = TrainConfig(tokens=tokens, out=folder, steps=400, **changes)
    store = TokenStore.open(tokens)
    return Watch(config, rows, folder, store, Order(tokens=len(store), length=16, batch=4, seed=0))


def smooth(steps: int) -> list[dict[str, Any]]:
    """Rows of steps whose losses and norms are 1.9 and 2.1 by turns: mean 2, deviation 0.1."""
    return [{"step": n + 1, "loss": 1.9 + 0.2 * (n % 2), "gradient_norm": 1.9 + 0.2 * (n % 2)} for n in range(steps)]


def measured(loss: float, norm: float = 2.0) -> Measured:
    return Measured(loss=loss, gradient_norm=norm)


def test_mean_and_deviation_are_those_of_the_window() -> None:
    usual = Usual.of([1.9, 2.1] * 64)
    assert usual.mean == pytest.approx(2.0)
    assert usual.spread == pytest.approx(0.1)
    assert usual.deviations(2.85) == pytest.approx(8.5)
    assert Usual.of([2.0] * 64) == Usual(2.0, 0.02)  # a flat curve: one percent of the mean
    assert Usual.of([2.0] * 63).deviations(1e9) == 0.0  # too early to tell


@pytest.mark.parametrize(("loss", "norm", "spikes"), [(2.79, 2.79, 0), (2.81, 2.0, 1), (2.0, 2.81, 1), (0.1, 0.1, 0)])
def test_a_spike_is_so_many_deviations_above_the_mean(
    tokens: Path, tmp_path: Path, loss: float, norm: float, spikes: int
) -> None:
    verdict = watch_of(tokens, smooth(128), tmp_path).judge(129, measured(loss, norm), 0.1)
    assert verdict.applied  # the policy is to record
    assert len(read_spikes(tmp_path)) == spikes
    assert ("limits" in verdict.notes) == bool(spikes)
    if spikes:
        assert verdict.notes["limits"] == pytest.approx([2.8, 2.8])


def test_a_spike_is_written_down_with_the_documents_of_its_step(tokens: Path, tmp_path: Path) -> None:
    watch = watch_of(tokens, smooth(128), tmp_path)
    watch.judge(129, measured(3.0), 0.1)
    (spike,) = read_spikes(tmp_path)
    assert (spike["step"], spike["loss"], spike["gradient_norm"], spike["policy"]) == (129, 3.0, 2.0, "record")
    assert spike["loss_deviations"] == pytest.approx(10)
    assert spike["norm_deviations"] == pytest.approx(0)
    batch = read_batch(watch.store, watch.order, 129)
    found = list(contents_of(watch.store, watch.order, 129))
    assert len(spike["documents"]) == len(found) >= 4
    for told, content in zip(spike["documents"], found, strict=True):
        assert told["id"] == watch.store.document_id(watch.store.document_at(told["first"]))
        assert told["id"] == watch.store.document_id(watch.store.document_at(told["last"]))
        begin = content.sequence * 16
        row = batch.tokens[told["row"], told["first"] - begin : told["last"] - begin + 1]
        np.testing.assert_array_equal(row, watch.store.tokens[told["first"] : told["last"] + 1])
    assert sum(t["last"] - t["first"] + 1 for t in spike["documents"]) == batch.tokens.size


@given(
    losses=st.lists(
        st.one_of(st.floats(1, 3), st.just(50.0), st.just(math.nan), st.just(math.inf)), min_size=1, max_size=300
    ),
    cut=st.integers(0, 300),
    policy=st.sampled_from(["record", "skip"]),
)
def test_a_watch_that_begins_in_the_middle_judges_as_one_that_saw_everything(
    tokens: Path, tmp_path_factory: pytest.TempPathFactory, losses: list[float], cut: int, policy: str
) -> None:
    folder = tmp_path_factory.mktemp("middle")
    whole, rows, verdicts = watch_of(tokens, [], folder, on_spike=policy), [], []
    whole.writes = False

    def step(watch: Watch, number: int, loss: float) -> Judgement | None:
        try:
            return watch.judge(number, measured(loss), 0.1)
        except LibertasError:
            return None

    for number, loss in enumerate(losses, 1):
        verdicts.append(step(whole, number, loss))
        notes = verdicts[-1].notes if verdicts[-1] else {}
        rows.append({"step": number, "loss": loss if math.isfinite(loss) else None, "gradient_norm": 2.0, **notes})
    cut %= len(losses)
    again = watch_of(tokens, rows[:cut], folder, on_spike=policy)
    again.writes = False
    assert [step(again, n, loss) for n, loss in enumerate(losses[cut:], cut + 1)] == verdicts[cut:]


def test_a_spike_that_cannot_be_written_down_does_not_stop_the_training(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watching, "write_durably", full)
    assert watch_of(tokens, smooth(128), tmp_path).judge(129, measured(9.0), 0.1).applied


def test_a_loss_that_stays_high_is_the_new_normal_after_a_while(tokens: Path, tmp_path: Path) -> None:
    watch = watch_of(tokens, smooth(128), tmp_path, on_spike="skip")
    watch.writes = False
    skipped = [not watch.judge(n, measured(5.0), 0.1).applied for n in range(129, 200)]
    assert skipped[:2] == [True, True]
    assert not any(skipped[10:])


def test_what_is_no_number_is_never_applied_and_ten_in_a_row_end_the_training(tokens: Path, tmp_path: Path) -> None:
    watch = watch_of(tokens, [], tmp_path)
    for step in range(1, 10):
        assert not watch.judge(step, measured(math.nan), 0.1).applied
    assert watch.judge(10, measured(2.0), 0.1).applied
    for step in range(11, 20):
        assert not watch.judge(step, measured(2.0, math.inf), 0.1).applied
    with pytest.raises(LibertasError, match=r"the loss is 2\.0 and .* norm inf at step 20 .*lower learning_rate"):
        watch.judge(20, measured(2.0, math.inf), 0.1)
    assert len(read_spikes(tmp_path)) == 18


def test_ten_roll_backs_in_a_row_end_the_training_as_well(tokens: Path, tmp_path: Path) -> None:
    step = 100
    for _ in range(9):
        with pytest.raises(RollBack) as back:
            watch_of(tokens, [], tmp_path, on_spike="rollback").judge(step, measured(math.nan), 0.1)
        take_back(tmp_path, back.value.spike)
        assert back.value.spike["left_out"] == [step - 16, step + 16]
        step += 17
    with pytest.raises(LibertasError, match=r"the loss is nan .* at step 253"):
        watch_of(tokens, [], tmp_path, on_spike="rollback").judge(step, measured(math.nan), 0.1)


def test_rolling_back_removes_what_was_kept_since_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "resume/step-00000083",
        "resume/step-00000084",
        "checkpoints/step-00000064",
        "checkpoints/step-00000128",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "resume" / "step-00000090.partial").mkdir()
    spike = {"step": 100, "left_out": [84, 116]}
    take_back(tmp_path, spike)
    take_back(tmp_path, spike)
    assert sorted(p.name for p in tmp_path.glob("*/*")) == ["step-00000064", "step-00000083"]
    assert read_spikes(tmp_path) == [spike]


def spiking(bad: np.ndarray, loss: float) -> Callable[[Step, Batch], Measured]:
    """A `Step.measure` that finds a spike whenever it meets one batch."""
    honest = Step.measure

    def measure(self: Step, batch: Batch) -> Measured:
        found = honest(self, batch)
        if not np.array_equal(batch.tokens, bad):
            return found
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(-30)
        return Measured(**{**vars(found), "loss": loss}) if hasattr(found, "__dict__") else measured(loss, 1e3)

    return measure


def run(tokens: Path, out: Path, **changes: Any) -> tuple[str, list[dict[str, Any]]]:
    done = train(TrainConfig(tokens=tokens, out=out, **{**SETTINGS, **changes}))
    return done.weights_hash, read_metrics(out / "metrics.jsonl")


@pytest.fixture
def quick(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that suit a run of twenty steps, and a batch that spikes."""
    monkeypatch.setattr("libertas.train.metrics.measured_peak", lambda **_: 1e9)  # which takes longer than the run
    for name, value in (("FEWEST", 6), ("BEFORE", 3), ("AFTER", 2), ("NARROWEST", 0.5)):
        monkeypatch.setattr(watching, name, value)
    store = TokenStore.open(tokens)
    bad = read_batch(store, Order(tokens=len(store), length=64, batch=2, seed=0), SPIKE).tokens
    monkeypatch.setattr(Step, "measure", spiking(bad, 1e6))


def without(steps: set[int], tokens: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The weights of a training that is told which updates to leave out."""
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "judge", lambda self, step, *_: Judgement(applied=step not in steps))
        return run(tokens, out)[0]


@pytest.mark.usefixtures("quick")
def test_each_policy_applies_what_it_says(tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = without(set(), tokens, tmp_path / "all", monkeypatch)
    weights, rows = run(tokens, tmp_path / "record")
    assert weights == everything
    assert not_applied(rows) == set()
    assert [s["step"] for s in read_spikes(tmp_path / "record")] == [SPIKE]

    weights, rows = run(tokens, tmp_path / "skip", on_spike="skip")
    assert weights == without({SPIKE}, tokens, tmp_path / "one", monkeypatch) != everything
    assert not_applied(rows) == {SPIKE}

    around = set(range(SPIKE - 3, SPIKE + 3))
    weights, rows = run(tokens, tmp_path / "rollback", on_spike="rollback")
    assert weights == without(around, tokens, tmp_path / "some", monkeypatch)
    assert not_applied(rows) == around
    assert [row["step"] for row in rows] == list(range(1, 21))

    with pytest.raises(LibertasError, match=r"step 14: loss 1e\+06, .*on_spike is 'stop'; its documents are in"):
        run(tokens, tmp_path / "stop", on_spike="stop")
    assert [s["policy"] for s in read_spikes(tmp_path / "stop.partial")] == ["stop"]


@pytest.mark.usefixtures("quick")
def test_a_run_that_rolls_back_has_the_same_bits_whatever_interrupts_it(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, _ = run(tokens, tmp_path / "whole", on_spike="rollback")
    honest, count = Watch.judge, iter(range(1000))
    written, fails = watching._append, iter([True])

    def failing(*words: Any) -> None:
        if next(fails, False):
            raise KeyboardInterrupt  # states are gone, and the decision is not there yet
        written(*words)

    monkeypatch.setattr(watching, "_append", failing)

    def interrupted(self: Watch, *words: Any) -> Judgement:
        if next(count) in (5, 20, 28):
            raise KeyboardInterrupt
        return honest(self, *words)

    monkeypatch.setattr(Watch, "judge", interrupted)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run(tokens, tmp_path / "torn", on_spike="rollback", save_seconds=0.0)
    assert run(tokens, tmp_path / "torn", on_spike="rollback", save_seconds=0.0)[0] == weights
    files = [(tmp_path / name / "spikes.jsonl").read_bytes() for name in ("whole", "torn")]
    assert files[0] == files[1]


def test_a_gradient_that_is_no_number_leaves_the_weights_as_they_were(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Step.measure
    seen = iter(range(1, 100))

    def measure(self: Step, batch: Batch) -> Measured:
        found = honest(self, batch)
        if next(seen) == 3:
            for parameter in self.model.parameters():
                parameter.grad = torch.full_like(parameter, math.nan)
            return measured(found.loss, math.nan)
        return found

    monkeypatch.setattr(Step, "measure", measure)
    weights, rows = run(tokens, tmp_path / "run", steps=6)
    assert rows[2]["gradient_norm"] is None
    assert not_applied(rows) == {3}
    monkeypatch.setattr(Step, "measure", honest)
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "judge", lambda self, step, *_: Judgement(applied=step != 3))
        assert run(tokens, tmp_path / "told", steps=6)[0] == weights
