"""Training again what was trained: the weights after any step, from the nearest state before it.

The loop itself runs, in a folder beside the result, with the run's settings, journal and spikes. What it makes on the
way is compared with what the run recorded. An interrupted replay continues when it is called again.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import torch
from rich.markup import escape

from libertas.errors import BrokenLineage, DifferentArtifact, UsageError
from libertas.lineage.artifact import PARTIAL, write_json
from libertas.lineage.fingerprint import code_digest
from libertas.lineage.manifest import Manifest, host_facts, is_artifact, named, read_manifest, recorded_settings
from libertas.lineage.walk import parent_path
from libertas.model.sizes import named_size
from libertas.model.transformer import Model
from libertas.terminal import say
from libertas.tokenize.store import TokenStore
from libertas.train.chain import CHAIN, read_chain
from libertas.train.checkpoint import (
    LOOP,
    WEIGHTS,
    checkpoint_draft,
    folder_of,
    newest_state,
    read_into,
    require_whole,
    saved_under,
    step_of,
    write_checkpoint,
)
from libertas.train.config import TrainConfig
from libertas.train.journal import METRICS
from libertas.train.loop import optimize, order_of
from libertas.train.objective import asked_of
from libertas.train.parallel import joined_processes
from libertas.train.replay_config import ReplayConfig
from libertas.train.snapshot import Copies, weights_hash
from libertas.train.tiers import CHECKPOINTS, RESUME, STATES
from libertas.train.watch import SPIKES

SCRATCH = ".replay"
"""Suffix of the folder in which a training is repeated."""
CLAIM = "replay.json"
"""What a scratch folder is for."""


@dataclass(frozen=True)
class Recorded:
    """A run as its own files tell of it."""

    folder: Path
    """It may be unfinished."""
    config: TrainConfig
    manifest: Manifest
    """Of one of its checkpoints: settings, code and host."""


@dataclass(frozen=True)
class Replayed:
    """Weights that were trained again."""

    out: Path
    step: int
    started: int
    """Step of the state that training was repeated from; 0: the fresh model."""
    weights_hash: str
    compared: tuple[str, ...]
    """What of the run has the same bits."""


def recorded(run: Path, other_code: bool = False) -> Recorded:
    """Settings and place of a run, finished or not.

    Raises:
        UsageError: there is none, or it was trained by other code and that was not allowed.
    """
    partial = run.with_name(run.name + PARTIAL)
    folder = run if run.exists() or not partial.exists() else partial
    if is_artifact(folder) and (found := read_manifest(folder)).kind != "run":
        raise UsageError(f"{run} is {named(found.kind)}; expected a run made by `libertas train`")
    saved = [p for tier in (CHECKPOINTS, STATES, RESUME) for p in saved_under(folder / tier)]
    if not saved:
        raise UsageError(f"{run} holds no checkpoint; expected a run made by `libertas train`, finished or interrupted")
    manifest = read_manifest(saved[0])
    if manifest.code != code_digest(LOOP) and not other_code:
        raise UsageError(
            f"{run} was trained by other code of libertas (version {manifest.version}), which may give other bits; "
            "install that version, or add --other-code to see whether they are the same"
        )
    tokens = next(i for i in manifest.inputs if i.role == "tokens")
    places = {"tokens": parent_path(saved[0], tokens), "out": run}
    return Recorded(folder, TrainConfig(**{**recorded_settings(manifest, TrainConfig), **places}), manifest)


def replay(config: ReplayConfig) -> Replayed:
    """Make the checkpoint of a step, or find it made.

    Raises:
        UsageError: there is no such step, or other code trained the run.
        BrokenLineage: the bits are not those that the run recorded; nothing is left at `out`.
    """
    source = recorded(config.run, config.other_code)
    if config.step > source.config.steps:
        raise UsageError(f"step is {config.step}; expected at most {source.config.steps:,}, the run's last")
    out = config.out or folder_of(config.run.parent, config.step).with_name(f"{config.run.name}-step-{config.step:08d}")
    if checkpoint_draft(out, source.config).finished():
        made = require_whole(out).counts
        if made["step"] != config.step:
            raise DifferentArtifact(f"{out} is the checkpoint of another step; choose another --out, or remove it")
        return Replayed(out, config.step, config.step, str(made["weights"]), ())
    with trained_again(source, out, config.step) as (model, scratch, started):
        compared = compared_with(source, scratch, started, config.step, weights_hash(dict(model.state_dict())))
        write_checkpoint(out, Copies(model, None).take(config.step, whole=False), source.config)
    return Replayed(out, config.step, started, str(read_manifest(out).counts["weights"]), tuple(compared))


@contextmanager
def trained_again(
    source: Recorded, beside: Path, until: int, since: int | None = None
) -> Iterator[tuple[Model, Path, int]]:
    """The model after step `until`, the folder it was trained in, and the step it was trained from.

    Training starts at the newest sound state of the run, at the latest after `since` or else `until`.
    """
    scratch = beside.with_name(beside.name + SCRATCH)
    start = newest_state(source.folder / RESUME, source.folder / STATES, until=until if since is None else since)
    started = step_of(start) if start else 0
    _prepare(source, scratch, start, until)
    changes: dict[str, Any] = {"resume_gigabytes": 0.0, "states_gigabytes": 0.0, "checkpoints_gigabytes": 0.0}
    config = replace(source.config, out=scratch, archive="", logs=(), tensor=1, replicas=1, **changes)
    store = TokenStore.open(config.tokens)
    shape = replace(named_size(config.model), vocabulary=store.vocabulary)
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    say(f"training again from step {started:,} to {until:,}")
    if is_artifact(source.folder) and (processes := read_manifest(source.folder).counts.get("processes", 1)) > 1:
        say(f"{processes} processes trained this run; one adds up in another order, and may end in other bits")
    with joined_processes(config) as layout:
        order = order_of(config, store, shape)
        yield optimize(config, store, shape, order, asked_of(config, store), scratch, layout, until), scratch, started
    shutil.rmtree(scratch)


def _prepare(source: Recorded, scratch: Path, start: Path | None, until: int) -> None:
    """Set up a scratch folder, or keep what an interrupted replay has left in it."""
    claim = {"fingerprint": source.manifest.fingerprint, "from": step_of(start) if start else 0}
    if scratch.exists():
        path = scratch / CLAIM
        if not path.exists():
            raise UsageError(f"{scratch} exists and is no replay's; remove it, or choose another --out")
        if orjson.loads(path.read_bytes()) != claim:
            shutil.rmtree(scratch)
    if not scratch.exists():
        scratch.mkdir(parents=True)
        write_json(scratch / CLAIM, claim)
        for name in (METRICS, CHAIN, SPIKES):
            if (source.folder / name).exists():
                shutil.copyfile(source.folder / name, scratch / name)
        if start is not None:
            shutil.copytree(start, folder_of(scratch / RESUME, step_of(start)))
    for tier in (RESUME, STATES):
        for path in saved_under(scratch / tier):
            if step_of(path) > until:
                shutil.rmtree(path)


def compared_with(source: Recorded, scratch: Path, started: int, until: int, weights: str) -> list[str]:
    """Everything that a run recorded between two steps, against what came out when it was trained again.

    Raises:
        BrokenLineage: names the first difference.
    """
    ours = {link["step"]: link for link in read_chain(scratch)}
    theirs = {link["step"]: link for link in read_chain(source.folder) if started <= link["step"] <= until}
    agreeing = []
    for step, link in theirs.items():
        if ours.get(step) != link:
            part = next(p for p in ("batches", "weights", "chain", "step") if ours.get(step, {}).get(p) != link.get(p))
            raise _differing(source, f"the link of step {step}", f"its {part}")
        agreeing.append(f"link {step}")
    for tier in (CHECKPOINTS, STATES, RESUME):
        for path in saved_under(source.folder / tier):
            step, again = step_of(path), folder_of(scratch / tier, step_of(path))
            if step == until and hash_of(path) != weights:
                raise _differing(source, f"{tier}/{path.name}", "its weights")
            if started < step <= until and is_artifact(again):
                _require_same(source, path, again)
            if step == until or (started < step < until and is_artifact(again)):
                agreeing.append(f"{tier}/{path.name}")
    return agreeing


def _require_same(source: Recorded, path: Path, again: Path) -> None:
    ours, theirs = read_manifest(again).counts, require_whole(path).counts
    for part in ("weights", "optimizer"):
        if ours.get(part) != theirs.get(part) or (part == "weights" and hash_of(path) != ours[part]):
            raise _differing(source, f"{path.parent.name}/{path.name}", f"its {part}")


def hash_of(folder: Path) -> str:
    """The hash of the weights that lie in a checkpoint, whatever its manifest says.

    Raises:
        BrokenLineage: a byte is not the recorded one.
    """
    require_whole(folder)
    found: list[str] = []
    read_into(folder, WEIGHTS, lambda weights: found.append(weights_hash(dict(weights))))
    return found[0]


def _differing(source: Recorded, what: str, part: str) -> BrokenLineage:
    """What differs, and whether the machine may be why."""
    then, now = source.manifest.host, host_facts()
    other = [k for k in ("machine", "system", "python", "packages") if then.get(k) != now[k]]
    why = f"this machine differs from the run's ({', '.join(other)}), which may be why" if other else "same platform"
    return BrokenLineage(f"{source.folder}: {what} is broken: {part} came out differently when trained again; {why}")


def replay_lines(result: Replayed) -> Iterator[str]:
    """What the terminal shows of a replay."""
    again = f"trained again from step {result.started:,}" if result.step > result.started else "there already"
    yield f"step {result.step:,}: {result.weights_hash}, {again}"
    same = f"same bits as the run's {', '.join(result.compared)}"
    yield same if result.compared else "the run has nothing to compare them with"
    yield escape(f"checkpoint: {result.out}")
