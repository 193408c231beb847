"""Killed, stopped and started again: the same bits, the same chain, no step lost."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from making import small_corpus
from nursery import Nursery, steps_in

from libertas.lineage.manifest import read_manifest
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.checkpoint import saved_under, step_of
from libertas.train.journal import read_metrics

STEPS = 40
SETTINGS = (
    f"--model tiny --steps {STEPS} --batch 4 --micro-batch 4 --checkpoint-every 15 --check-every 7 --state-every 16 "
    "--validate-every 20 --threads 1"
).split()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as found:
        yield found


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupted")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    return folder / "tokens"


@pytest.fixture(scope="module")
def uninterrupted(tokens: Path, nursery: Nursery) -> Path:
    out = tokens.parent / "run"
    assert nursery.run(tokens.parent / "log", "train", tokens, "--out", out, *SETTINGS) == 0
    return out


def require_same_run(one: Path, other: Path) -> None:
    """Weights, chain, content and losses of two runs are the same."""
    ours, theirs = read_manifest(one), read_manifest(other)
    assert ours.counts == theirs.counts
    assert (one / "chain.jsonl").read_bytes() == (other / "chain.jsonl").read_bytes()
    assert ours.content == theirs.content
    rows = [[(r["step"], r["loss"]) for r in read_metrics(p / "metrics.jsonl")] for p in (one, other)]
    assert rows[0] == rows[1]
    assert [step for step, _ in rows[0]] == list(range(1, STEPS + 1))


def killed_again_and_again(nursery: Nursery, tokens: Path, folder: Path, kills: int) -> int:
    """Kill a training so many times at random, half of the times while a state is written, then let it finish.

    Returns how often something was left half-written.
    """
    out, partial, log = folder / "run", folder / "run.partial", folder / "log"
    chooser, torn = random.Random(4), 0
    for kill in range(kills):
        pid = nursery.start(log, "train", tokens, "--out", out, *SETTINGS, "--save-seconds", 0)
        before = min(steps_in(partial), STEPS - 12)
        writing = kill % 2 and (lambda: any(partial.glob("resume/*.partial/*.safetensors")))
        moved_on = lambda before=before: steps_in(partial) > before + 1  # noqa: E731
        nursery.strike(signal.SIGKILL, pid, writing or moved_on, 0.0 if writing else chooser.random() * 0.05)
        if nursery.end() == 0:
            break  # it was done first
        torn += any(partial.glob("*/*.partial"))
    assert nursery.run(log, "train", tokens, "--out", out, *SETTINGS) == 0, log.read_text()
    return torn


def test_ten_random_kills_leave_identical_weights(
    nursery: Nursery, tokens: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    assert killed_again_and_again(nursery, tokens, tmp_path, 10) >= 1
    require_same_run(tmp_path / "run", uninterrupted)


@pytest.mark.slow
def test_a_hundred_random_kills_leave_identical_weights(
    nursery: Nursery, tokens: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    kills = 0
    while kills < 100:  # a training of this length is killed a dozen times before it is done
        (tmp_path / str(kills)).mkdir()
        killed_again_and_again(nursery, tokens, tmp_path / str(kills), 10)
        require_same_run(tmp_path / str(kills) / "run", uninterrupted)
        kills += 10


@pytest.mark.slow
def test_sigterm_at_random_times_loses_no_step_and_asks_to_be_resumed(
    nursery: Nursery, tokens: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out, partial, log = tmp_path / "run", tmp_path / "run.partial", tmp_path / "log"
    chooser, stops = random.Random(1), 0
    while True:
        pid = nursery.start(log, "train", tokens, "--out", out, *SETTINGS, "--save-seconds", 1e9)
        before = steps_in(partial)
        number = chooser.choice((signal.SIGTERM, signal.SIGINT))
        nursery.strike(number, pid, lambda before=before: steps_in(partial) > before + 2, chooser.random() * 0.02)
        status = nursery.end()
        if status == 0:
            break
        assert status == 75, log.read_text()  # EX_TEMPFAIL
        assert "the same command continues there" in log.read_text()
        assert step_of(saved_under(partial / "resume")[-1]) == steps_in(partial) > before
        stops += 1
    assert stops >= 2
    require_same_run(out, uninterrupted)


@pytest.mark.slow
def test_ctrl_c_twice_stops_at_once_and_the_run_goes_on_from_its_last_state(
    nursery: Nursery, tokens: Path, tmp_path: Path
) -> None:
    slow = ("--model", "tiny", "--steps", 5, "--batch", 128, "--micro-batch", 1, "--threads", 1, "--save-seconds", 0)
    out, partial, log = tmp_path / "run", tmp_path / "run.partial", tmp_path / "log"
    pid = nursery.start(log, "train", tokens, "--out", out, *slow)
    assert nursery.strike(signal.SIGINT, pid, lambda: bool(saved_under(partial / "resume")), 0.0), log.read_text()
    nursery.strike(signal.SIGINT, pid, lambda: "Ctrl-C again stops at once" in log.read_text(), 0.0)
    assert (nursery.end(), "stopped at once" in log.read_text()) in ((130, True), (75, False))
    assert not out.exists()
    assert saved_under(partial / "resume")
    for name in ("run", "other"):
        assert nursery.run(log, "train", tokens, "--out", tmp_path / name, *slow) == 0, log.read_text()
    assert read_manifest(out).content == read_manifest(tmp_path / "other").content
