"""Training: the same bits however often it is interrupted, and the arithmetic it says it does."""

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from making import document, mixed_corpus, small_corpus

from libertas.errors import BrokenLineage, LibertasError, UsageError
from libertas.lineage.manifest import read_manifest
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import TokenStore, tokenize
from libertas.train import checkpoint
from libertas.train.config import TrainConfig
from libertas.train.journal import Journal, read_metrics
from libertas.train.loop import train
from libertas.train.schedule import keeps_checkpoint, learning_rate

SETTINGS = {"model": "tiny", "steps": 40, "batch": 4, "micro_batch": 4, "checkpoint_every": 15, "validate_every": 10}

PROGRAM = """
import sys
from pathlib import Path
from libertas.train.config import TrainConfig
from libertas.train.loop import train
tokens, out, save_seconds = sys.argv[1:]
train(TrainConfig(tokens=Path(tokens), out=Path(out), save_seconds=float(save_seconds), **{settings}))
"""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    return folder / "tokens"


@pytest.fixture(scope="module")
def uninterrupted(tokens: Path) -> Path:
    out = tokens.parent / "run"
    train(TrainConfig(tokens=tokens, out=out, **SETTINGS))
    return out


def start(tokens: Path, out: Path, save_seconds: float, **changes: int) -> subprocess.Popen[str]:
    program = PROGRAM.replace("{settings}", repr({**SETTINGS, **changes}))
    words = [sys.executable, "-c", program, str(tokens), str(out), str(save_seconds)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": ""})


def wait_until(condition: object, process: subprocess.Popen[str], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
    return False


def test_the_loss_falls_and_everything_a_run_promises_is_there(uninterrupted: Path, tokens: Path) -> None:
    rows = read_metrics(uninterrupted / "metrics.jsonl")
    assert [r["step"] for r in rows] == list(range(1, 41))
    assert rows[0]["loss"] == pytest.approx(math.log(300), rel=0.05)  # a fresh model spreads evenly over 300 entries
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.5
    assert [r["step"] for r in rows if "validation_bits_per_byte" in r] == [10, 20, 30, 40]
    assert all(r["mfu"] > 0 and r["tokens_per_second"] > 0 for r in rows)
    kept = [int(p.name.removeprefix("step-")) for p in sorted((uninterrupted / "checkpoints").iterdir())]
    assert kept == [0, 1, 2, 4, 8, 15, 16, 30, 32, 40]
    assert [p.name for p in (uninterrupted / "resume").iterdir()] == ["step-00000040"]


@pytest.mark.parametrize("model", ["tiny-neox", "tiny-modern", "tiny-linear", "tiny-experts"])
def test_every_kind_of_model_learns_and_a_router_tells_how_it_shares_out(
    model: str, tokens: Path, tmp_path: Path
) -> None:
    train(TrainConfig(tokens=tokens, out=tmp_path / "run", **{**SETTINGS, "model": model}))
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.3
    assert ("router_balance" in rows[-1]) == (model == "tiny-experts")
    if model == "tiny-experts":
        assert 0.9 < rows[-1]["router_balance"] < 2.0
        assert 0.25 <= rows[-1]["router_busiest"] < 0.6


def test_micro_batches_change_nothing_but_rounding(tokens: Path, uninterrupted: Path, tmp_path: Path) -> None:
    train(TrainConfig(tokens=tokens, out=tmp_path / "run", **{**SETTINGS, "micro_batch": 1}))
    ours, theirs = (checkpoint.load_checkpoint(p).model.state_dict() for p in (tmp_path / "run", uninterrupted))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=2e-4, rtol=2e-3)


def test_reading_ahead_changes_no_bit(tokens: Path, uninterrupted: Path, tmp_path: Path) -> None:
    run = train(TrainConfig(tokens=tokens, out=tmp_path / "run", workers=4, **SETTINGS))
    assert run.weights_hash == checkpoint.load_checkpoint(uninterrupted).weights_hash


def test_ctrl_c_saves_and_the_same_command_finishes_with_the_same_bits(
    tokens: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = start(tokens, out, 1e9, steps=40)
    metrics = tmp_path / "run.partial" / "metrics.jsonl"
    assert wait_until(lambda: len(read_metrics(metrics)) >= 3, first)
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=60)
    assert first.returncode != 0
    assert "the same command continues there" in errors
    saved = [p.name for p in (tmp_path / "run.partial" / "resume").iterdir()]
    assert len(saved) == 1
    run = train(TrainConfig(tokens=tokens, out=out, **SETTINGS))
    assert run.weights_hash == checkpoint.load_checkpoint(uninterrupted).weights_hash
    assert [r["step"] for r in read_metrics(out / "metrics.jsonl")] == list(range(1, 41))


@pytest.mark.slow
def test_ten_kills_at_random_one_of_them_in_a_checkpoint_write_leave_identical_weights(
    tokens: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out, partial = tmp_path / "run", tmp_path / "run.partial"
    chooser, torn = random.Random(4), 0
    for kill in range(10):
        process = start(tokens, out, 0.0)
        reached = len(read_metrics(partial / "metrics.jsonl")) if partial.exists() else 0
        assert wait_until(lambda before=reached: len(read_metrics(partial / "metrics.jsonl")) > before + 1, process), (
            kill
        )
        if kill % 2:
            time.sleep(chooser.random() * 0.05)
        else:  # strike while a state is being written
            assert wait_until(lambda: any((partial / "resume").glob("*.partial/*.safetensors")), process), kill
        process.kill()
        process.communicate()
        torn += bool(list((partial / "resume").glob("*.partial")))
    assert torn >= 1
    run = train(TrainConfig(tokens=tokens, out=out, **SETTINGS))
    assert run.weights_hash == checkpoint.load_checkpoint(uninterrupted).weights_hash
    losses = [[(r["step"], r["loss"]) for r in read_metrics(p / "metrics.jsonl")] for p in (out, uninterrupted)]
    assert losses[0] == losses[1]


def test_a_damaged_state_is_skipped_for_the_one_before(
    tokens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = checkpoint.Model(checkpoint.ModelConfig(vocabulary=300, width=32, layers=1, heads=2, context=64))
    config = TrainConfig(tokens=tokens, out=tmp_path / "run", **SETTINGS)
    first, second = (checkpoint.save_checkpoint(tmp_path / "resume", step, model, config) for step in (5, 9))
    data = bytearray((second / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (second / "model.safetensors").write_bytes(data)
    assert checkpoint.newest_state(tmp_path / "resume") == first
    assert "model.safetensors: content differs from" in capsys.readouterr().err
    with pytest.raises(BrokenLineage, match="content differs from"):
        checkpoint.load_checkpoint(second)


def test_too_little_text_for_one_batch_is_refused(tmp_path: Path) -> None:
    corpus = mixed_corpus(tmp_path / "mix", [document(1)], [document(2)])
    tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=257))
    with pytest.raises(UsageError, match=r"has 238 tokens, not enough for one batch of 8 sequences of 64"):
        train(TrainConfig(tokens=tmp_path / "tokens", out=tmp_path / "run", model="tiny"))
    assert not (tmp_path / "run").exists()


def test_a_run_without_anything_held_out_measures_nothing_on_it(tmp_path: Path) -> None:
    corpus = mixed_corpus(tmp_path / "mix", [document(n) for n in range(40)], [])
    tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=300))
    train(TrainConfig(tokens=tmp_path / "tokens", out=tmp_path / "run", **{**SETTINGS, "steps": 3}))
    assert all("validation_bits_per_byte" not in r for r in read_metrics(tmp_path / "run" / "metrics.jsonl"))


def test_a_loss_that_is_no_number_ends_the_run_instead_of_finishing_it(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(
        LibertasError, match=r"the loss is \w+ and the gradient's norm \w+ at step \d+ .*lower learning_rate"
    ):
        train(TrainConfig(tokens=tokens, out=tmp_path / "run", learning_rate=1e30, **SETTINGS))
    assert not (tmp_path / "run").exists()


def test_changed_tokens_are_refused_before_the_first_step(tokens: Path, tmp_path: Path) -> None:
    shutil.copytree(tokens, tmp_path / "tokens")
    shutil.copytree(tokens.parent / "mix", tmp_path / "mix")
    file = tmp_path / "tokens" / "train" / "tokens.bin"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises(BrokenLineage, match=r"tokens\.bin: content differs"):
        train(TrainConfig(tokens=tmp_path / "tokens", out=tmp_path / "run", **SETTINGS))


def test_a_model_whose_tokens_were_made_again_is_refused(tokens: Path, uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted, tmp_path / "run")
    tokenize(TokenizeConfig(corpus=small_corpus(tmp_path / "mix", 140), out=tmp_path / "tokens", vocabulary=300))
    with pytest.raises(BrokenLineage, match="tokens was rebuilt with other content"):
        checkpoint.load_checkpoint(tmp_path / "run")


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for changes, message in (
        ({"model": "neo-3m"}, "did you mean 'neo-1m'"),
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"batch": 6, "micro_batch": 4}, "batch is 6, not a multiple of micro_batch, 4"),
        ({"warmup": 1.0}, "warmup is 1.0"),
    ):
        with pytest.raises(UsageError, match=message):
            TrainConfig(tokens=tmp_path, out=tmp_path, **changes)


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    rates = [learning_rate(s, 100, 1.0, 0.1, 0.1) for s in range(1, 101)]
    assert rates[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert rates[54] == pytest.approx(0.55)  # half way down: the mean of 1 and 0.1
    assert rates[-1] == pytest.approx(0.1)
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_checkpoints_are_kept_at_pythias_steps() -> None:
    kept = [s for s in range(143_001) if keeps_checkpoint(s, 143_000, 1000)]
    assert kept == [0, *(2**n for n in range(10)), *range(1000, 143_001, 1000)]
    assert len(kept) == 154


def test_resuming_cuts_later_and_torn_lines_from_the_metrics(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for step in range(1, 6):
        journal.write({"step": step, "loss": 1 / step})
    journal.close()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 6, "lo')
    Journal(tmp_path, 3).close()
    assert [r["step"] for r in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3]


def test_the_run_records_the_order_in_which_it_read(uninterrupted: Path, tokens: Path) -> None:
    counts = read_manifest(uninterrupted).counts
    assert counts["order"] == {"tokens": len(TokenStore.open(tokens)), "length": 64, "batch": 4, "seed": 0}
    assert counts["tokens_read"] == 40 * 4 * 64
