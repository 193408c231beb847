"""Checkpoints: artifacts that appear whole, are found by scanning, and are verified when they are loaded.

Two folders lie in a run. `checkpoints/step-00000512` holds weights that are kept for good. `resume/step-00000530` holds
the full state (weights and optimizer), written every few seconds of wall clock; the two newest are kept.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.markup import escape
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialized
from tokenizers import Tokenizer
from torch import Tensor

from libertas.errors import BrokenLineage, LibertasError, UsageError
from libertas.lineage.artifact import PARTIAL, Draft, write_durably, write_json
from libertas.lineage.fingerprint import digest
from libertas.lineage.manifest import is_artifact, named, read_manifest, require_sound
from libertas.lineage.walk import input_of
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.terminal import say
from libertas.tokenize import bpe
from libertas.train.config import TrainConfig
from libertas.train.optimizer import Optimizers, load_state_tensors, state_tensors

LOOP = "libertas.train.loop"
KEPT_STATES = 2
WEIGHTS, OPTIMIZER, SHAPE = "model.safetensors", "optimizer.safetensors", "model.json"


@dataclass(frozen=True)
class Checkpoint:
    """A model as it was after a step."""

    path: Path
    step: int
    model: Model
    tokenizer: Tokenizer
    weights_hash: str
    """Hash over the names and bytes of all weights; equal hashes mean bit-identical models."""


def folder_of(parent: Path, step: int) -> Path:
    """Where the checkpoint of a step lies in its folder."""
    return parent / f"step-{step:08d}"


def weights_hash(weights: dict[str, Tensor]) -> str:
    """One hash over all weights, independent of how they are stored."""
    return digest(
        "".join(f"{n} {digest(t.contiguous().numpy().tobytes())}\n" for n, t in sorted(weights.items())).encode()
    )


def save_checkpoint(
    parent: Path,
    step: int,
    model: Model,
    config: TrainConfig,
    optimizers: Optimizers | None = None,
) -> Path:
    """Write a checkpoint under `parent`; with optimizers, one from which training can continue."""
    draft = Draft(
        kind="checkpoint", out=folder_of(parent, step), config=config, inputs={"tokens": [config.tokens]}, code=LOOP
    )
    if draft.out.exists():
        shutil.rmtree(draft.out)  # from before an interruption; training has just repeated this step
    with draft.build(trusting=True) as folder:  # the run has checked the tokens
        weights = dict(model.state_dict())
        write_durably(folder / WEIGHTS, serialized(weights))
        write_json(folder / SHAPE, model.config.to_json())
        if optimizers is not None:
            write_durably(folder / OPTIMIZER, serialized(state_tensors(model, optimizers)))
        draft.counts = {"step": step, "parameters": model.parameter_count(), "weights": weights_hash(weights)}
    return draft.out


def verified(folder: Path) -> bool:
    """Whether every byte of a checkpoint is the one that was written; the reader is told if not."""
    try:
        require_sound(folder, read_manifest(folder))
    except (LibertasError, OSError) as error:
        say(f"[yellow]skipping a checkpoint:[/yellow] {escape(str(error))}")
        return False
    return True


def newest_state(parent: Path) -> Path | None:
    """The newest verified full state under `parent`; what was only partly written is removed."""
    if not parent.exists():
        return None
    for leftover in [p for p in parent.iterdir() if p.name.endswith(PARTIAL) or not is_artifact(p)]:
        shutil.rmtree(leftover)
    return next((p for p in sorted(parent.iterdir(), reverse=True) if verified(p)), None)


def thin_states(parent: Path, keep: int = KEPT_STATES) -> None:
    """Delete all but the newest full states."""
    for old in sorted(p for p in parent.iterdir() if is_artifact(p))[:-keep]:
        shutil.rmtree(old)


def restore(folder: Path, model: Model, optimizers: Optimizers) -> int:
    """Load a full state into a model and its optimizers; returns its step."""
    model.load_state_dict(load_file(folder / WEIGHTS))
    load_state_tensors(model, optimizers, load_file(folder / OPTIMIZER))
    return int(read_manifest(folder).counts["step"])


def load_checkpoint(path: Path) -> Checkpoint:
    """Load the checkpoint at `path`, or the last one of the run at `path`.

    Raises:
        UsageError: neither is there.
        BrokenLineage: its bytes are not the recorded ones.
    """
    manifest = read_manifest(path)
    if manifest.kind == "run":
        path = folder_of(path / "checkpoints", int(manifest.counts["steps"]))
        manifest = read_manifest(path)
    if manifest.kind != "checkpoint":
        raise UsageError(f"{path} is {named(manifest.kind)}; expected a run or a checkpoint made by `libertas train`")
    require_sound(path, manifest)
    model = Model(ModelConfig.from_json(orjson.loads((path / SHAPE).read_bytes())), seed=None)
    try:
        model.load_state_dict(load_file(path / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        raise BrokenLineage(f"{path / WEIGHTS} does not hold the weights that {SHAPE} describes: {error}") from error
    own = path / "tokenizer.json"  # of a model that was imported
    tokenizer = bpe.load_tokenizer(own if own.exists() else input_of(path, "tokens") / "tokenizer.json")
    return Checkpoint(path, int(manifest.counts["step"]), model.eval(), tokenizer, str(manifest.counts["weights"]))
