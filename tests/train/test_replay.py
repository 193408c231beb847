"""Any step again, bit for bit, and runs that were tampered with named at their first broken link."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from making import small_corpus

from libertas.errors import BrokenLineage, DifferentArtifact, UsageError
from libertas.lineage import fingerprint
from libertas.lineage.manifest import read_manifest
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.order import Order
from libertas.tokenize.store import tokenize
from libertas.train import checkpoint, replay
from libertas.train.audit import audit, audit_lines
from libertas.train.chain import next_link, read_chain
from libertas.train.checkpoint import load_checkpoint, read_into, saved_under, step_of
from libertas.train.config import TrainConfig
from libertas.train.loop import train
from libertas.train.replay import replay_lines
from libertas.train.replay_config import AuditConfig, ReplayConfig
from libertas.train.snapshot import Snapshot, put_weights

SETTINGS: dict[str, Any] = {
    "model": "tiny", "steps": 24, "batch": 4, "micro_batch": 4, "checkpoint_every": 6, "check_every": 5,
    "state_every": 10, "validate_every": 100, "threads": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    train(TrainConfig(tokens=folder / "tokens", out=folder / "run", **SETTINGS))
    return folder


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A run of one's own to tamper with, beside its tokens."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_chain_has_a_link_at_the_start_at_every_fifth_step_and_at_the_end(folder: Path) -> None:
    assert [link["step"] for link in read_chain(folder / "run")] == [0, 5, 10, 15, 20, 24]
    weights = {link["step"]: link["weights"] for link in read_chain(folder / "run")}
    assert weights[24] == load_checkpoint(folder / "run").weights_hash
    assert weights[0] == load_checkpoint(folder / "run" / "checkpoints" / "step-00000000").weights_hash


@pytest.mark.parametrize(("step", "started"), [(0, 0), (4, 0), (12, 10), (20, 20)])
def test_a_step_comes_again_with_the_same_bits(folder: Path, tmp_path: Path, step: int, started: int) -> None:
    again = replay.replay(ReplayConfig(run=folder / "run", step=step, out=tmp_path / "again"))
    assert again.started == started
    kept = {step_of(p): p for tier in ("checkpoints", "states") for p in saved_under(folder / "run" / tier)}
    assert load_checkpoint(tmp_path / "again").weights_hash == again.weights_hash
    assert again.weights_hash == load_checkpoint(kept[step]).weights_hash
    assert read_manifest(tmp_path / "again").identity == read_manifest(kept[step]).identity
    assert again.compared
    assert "same bits as the run's" in "".join(replay_lines(again))
    assert [p.name for p in tmp_path.iterdir()] == ["again"]


def test_a_step_that_was_never_kept_is_what_a_shorter_check_says(folder: Path, tmp_path: Path) -> None:
    again = replay.replay(ReplayConfig(run=folder / "run", step=15, out=tmp_path / "again"))
    assert again.weights_hash == {link["step"]: link["weights"] for link in read_chain(folder / "run")}[15]
    made = (tmp_path / "again" / "manifest.json").stat().st_mtime_ns
    replay.replay(ReplayConfig(run=folder / "run", step=15, out=tmp_path / "again"))
    assert (tmp_path / "again" / "manifest.json").stat().st_mtime_ns == made  # it was there already
    with pytest.raises(DifferentArtifact, match="is the checkpoint of another step"):
        replay.replay(ReplayConfig(run=folder / "run", step=14, out=tmp_path / "again"))


def test_an_interrupted_run_can_be_replayed(folder: Path, copied: Path) -> None:
    (copied / "run").rename(copied / "run.partial")
    (copied / "run.partial" / "manifest.json").unlink()
    shutil.rmtree(copied / "run.partial" / "resume")
    again = replay.replay(ReplayConfig(run=copied / "run", step=6))
    assert again.out == copied / "run-step-00000006"
    theirs = load_checkpoint(folder / "run" / "checkpoints" / "step-00000006")
    assert load_checkpoint(again.out).weights_hash == theirs.weights_hash


def test_what_cannot_be_replayed_is_refused_and_nothing_of_others_is_touched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("kept")
    for changes, message in (
        ({"step": 25}, "step is 25; expected at most 24"),
        ({"out": tmp_path / "mine"}, "exists and is not an artifact"),
        ({"out": folder / "tokens"}, "it is a token store"),
        ({"run": tmp_path / "none"}, "holds no checkpoint; expected a run"),
        ({"run": folder / "tokens"}, "is a token store; expected a run"),
    ):
        with pytest.raises(UsageError, match=message):
            replay.replay(ReplayConfig(**{"run": folder / "run", "step": 3, "out": tmp_path / "again", **changes}))
    with pytest.raises(UsageError, match="step is -1; expected 0"):
        ReplayConfig(run=folder / "run", step=-1)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "kept"
    monkeypatch.setattr(replay, "code_digest", lambda _: "b3:other")
    with pytest.raises(UsageError, match=r"trained by other code of libertas .*--other-code"):
        replay.replay(ReplayConfig(run=folder / "run", step=3, out=tmp_path / "again"))
    assert replay.replay(ReplayConfig(run=folder / "run", step=1, out=tmp_path / "again", other_code=True)).compared
    assert fingerprint.code_digest("libertas.train.loop") != "b3:other"


@pytest.mark.parametrize(("since", "until", "started", "ended"), [(0, 0, 0, 5), (10, 0, 10, 15), (10, 16, 10, 20)])
def test_an_untouched_run_passes(folder: Path, since: int, until: int, started: int, ended: int) -> None:
    found = audit(AuditConfig(run=folder / "run", since=since, until=until))
    assert (found.links, found.last, found.started, found.until) == (6, 24, started, ended)
    assert f"link {ended}" in found.compared
    assert f"steps {started} to {ended} were trained again" in "".join(audit_lines(found))
    assert not list(folder.glob("*.replay"))


def tampered_link(run: Path, change: Callable[[dict[str, Any]], dict[str, Any]], mended: bool) -> None:
    """Change the link of step 15; with `mended` it and all that follow are summed up again."""
    links = [change(link) if link["step"] == 15 else link for link in read_chain(run)]
    for number in range(3, len(links)) if mended else ():
        link = links[number]
        links[number] = next_link(links[number - 1]["chain"], link["step"], link["batches"], link["weights"])
    (run / "chain.jsonl").write_bytes(b"".join(orjson.dumps(link) + b"\n" for link in links))


def test_a_forged_chain_is_named_at_its_first_broken_link(copied: Path) -> None:
    run = copied / "run"
    sound = (run / "chain.jsonl").read_bytes()
    forged = "b3:" + "0" * 64
    tampered_link(run, lambda link: {**link, "weights": forged}, mended=False)
    with pytest.raises(BrokenLineage, match="the link of step 15 is broken: it does not follow from the one before"):
        audit(AuditConfig(run=run))
    (run / "chain.jsonl").write_bytes(sound)
    tampered_link(run, lambda link: {**link, "batches": forged}, mended=True)
    with pytest.raises(BrokenLineage, match=r"the link of step 15 is broken: .* holds other tokens than were read"):
        audit(AuditConfig(run=run))
    (run / "chain.jsonl").write_bytes(sound)
    tampered_link(run, lambda link: {**link, "weights": forged}, mended=True)
    with pytest.raises(BrokenLineage, match="the link of step 15 is broken: its weights came out differently"):
        audit(AuditConfig(run=run, since=10))
    lines = sound.splitlines(keepends=True)
    (run / "chain.jsonl").write_bytes(b"".join(lines[:3] + lines[4:]))
    with pytest.raises(BrokenLineage, match="the link of step 15 is broken: it is missing"):
        audit(AuditConfig(run=run))


def test_other_tokens_are_named_at_the_first_link_that_read_them(copied: Path) -> None:
    file = copied / "tokens" / "train" / "tokens.bin"
    order = Order(**read_manifest(copied / "run").counts["order"])
    position = int(order.batch_of(12)[1]) * order.length + 20  # of a token that the twelfth step reads
    assert order.steps_reading(position, 24) == [12]
    data = bytearray(file.read_bytes())
    data[2 * position] ^= 1
    file.write_bytes(data)
    with pytest.raises(BrokenLineage, match=r"the link of step 15 is broken: .* holds other tokens than were read"):
        audit(AuditConfig(run=copied / "run"))


def test_other_weights_in_a_kept_state_are_named_though_its_manifest_was_made_anew(copied: Path) -> None:
    state = copied / "run" / "states" / "step-00000010"
    shape = ModelConfig.from_json(orjson.loads((state / "model.json").read_bytes()))
    model = Model(shape, seed=None)
    read_into(state, "model", lambda weights: put_weights(model, weights))
    optimizer: dict[str, torch.Tensor] = {}
    read_into(state, "optimizer", lambda found: optimizer.update(found))
    with torch.no_grad():
        next(model.parameters())[0] += 1
    forged = Snapshot(step=10, weights=dict(model.state_dict()), optimizer=optimizer, shape=shape.to_json())
    config = TrainConfig(tokens=copied / "tokens", out=copied / "run", **SETTINGS)
    checkpoint.write_checkpoint(state, forged, config)
    with pytest.raises(BrokenLineage, match="the link of step 10 is broken: states/step-00000010 holds other weights"):
        audit(AuditConfig(run=copied / "run"))


def test_another_optimizer_state_is_found_by_training_up_to_it(copied: Path) -> None:
    state = copied / "run" / "states" / "step-00000010"
    shape = ModelConfig.from_json(orjson.loads((state / "model.json").read_bytes()))
    model = Model(shape, seed=None)
    read_into(state, "model", lambda weights: put_weights(model, weights))
    optimizer: dict[str, torch.Tensor] = {}
    read_into(state, "optimizer", lambda found: optimizer.update({n: t * 1.01 for n, t in found.items()}))
    forged = Snapshot(step=10, weights=dict(model.state_dict()), optimizer=optimizer, shape=shape.to_json())
    config = TrainConfig(tokens=copied / "tokens", out=copied / "run", **SETTINGS)
    checkpoint.write_checkpoint(state, forged, config)
    with pytest.raises(BrokenLineage, match="the link of step 15 is broken: its weights came out differently"):
        audit(AuditConfig(run=copied / "run", since=10))
    shutil.rmtree(copied / "run.replay")
    with pytest.raises(BrokenLineage, match="states/step-00000010 is broken: its optimizer came out differently"):
        audit(AuditConfig(run=copied / "run", since=0, until=10))
