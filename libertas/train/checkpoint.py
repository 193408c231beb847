"""Checkpoints: artifacts that appear whole, are found by scanning, and are verified when they are loaded.

A checkpoint holds whole tensors as safetensors (in several files if they are large), the model's shape, and
`tensors.json`: the hash of each tensor, so that damage can be named. Folders in a run: `checkpoints/step-00000512` has
weights alone; `states/` and `resume/` have full states, from which training continues.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.markup import escape
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from libertas.errors import BrokenLineage, LibertasError, UsageError
from libertas.lineage.artifact import PARTIAL, Draft, write_json
from libertas.lineage.fingerprint import file_digest
from libertas.lineage.manifest import Manifest, damaged_files, is_artifact, named, read_manifest
from libertas.lineage.walk import input_of
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.tensor_files import (
    SUFFIX,
    TensorFact,
    TensorFiles,
    sharded,
    tensor_file_index,
    tensor_file_name,
    write_tensors,
)
from libertas.terminal import say
from libertas.tokenize import bpe
from libertas.train.config import TrainConfig
from libertas.train.optimizer import Optimizers
from libertas.train.parallel import ALONE, Layout
from libertas.train.snapshot import (
    Copies,
    Snapshot,
    combined_digest,
    put_state,
    put_weights,
    tensor_digest,
)

LOOP = "libertas.train.loop"
WEIGHTS, OPTIMIZER = "model", "optimizer"
"""Files of tensors by how their names begin."""
SHAPE, TENSORS, TOKENIZER = "model.json", "tensors.json", "tokenizer.json"
SHARD_BYTES = 4 << 30
"""Most that a file of several tensors may have; writing one takes the memory of one tensor."""


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


def step_of(folder: Path) -> int:
    """The step that a folder is named after."""
    return int(folder.name.removeprefix("step-"))


def save_checkpoint(
    parent: Path,
    step: int,
    model: Model,
    config: TrainConfig,
    optimizers: Optimizers | None = None,
    layout: Layout = ALONE,
) -> Path:
    """Write a checkpoint under `parent`; with optimizers, one from which training can continue."""
    out = folder_of(parent, step)
    snapshot = Copies(model, optimizers, layout).take(step, whole=optimizers is not None)
    return write_checkpoint(out, snapshot, config) if layout.first else out


def checkpoint_draft(out: Path, config: TrainConfig) -> Draft:
    """The checkpoint of a training that will lie at `out`."""
    return Draft(kind="checkpoint", out=out, config=config, inputs={"tokens": [config.tokens]}, code=LOOP)


def write_checkpoint(out: Path, snapshot: Snapshot, config: TrainConfig) -> Path:
    """Write a snapshot as a checkpoint, in the place of one that may lie there from before an interruption."""
    draft = checkpoint_draft(out, config)
    if is_artifact(out):
        remove_checkpoint(out)  # training has just repeated this step
    with draft.build(trusting=True) as folder:  # the run has checked the tokens
        digests = {WEIGHTS: _write_files(folder, WEIGHTS, snapshot.weights)}
        if snapshot.optimizer is not None:
            digests[OPTIMIZER] = _write_files(folder, OPTIMIZER, snapshot.optimizer)
        write_json(folder / SHAPE, snapshot.shape)
        write_json(folder / TENSORS, digests)
        draft.counts = {
            "step": snapshot.step,
            "parameters": snapshot.parameters,
            "weights": combined_digest(digests[WEIGHTS]),
            "tokenizer": file_digest(config.tokens / TOKENIZER),
        }
        if snapshot.optimizer is not None:
            draft.counts["optimizer"] = combined_digest(digests[OPTIMIZER])
    return out


def _write_files(folder: Path, stem: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Write tensors, one after the other; returns the hash of each."""
    digests: dict[str, str] = {}

    def passing(name: str) -> Tensor:
        tensor = tensors[name].detach().cpu().contiguous()
        digests[name] = tensor_digest(tensor)
        return tensor

    facts = {name: TensorFact.of(tensor) for name, tensor in tensors.items()}
    groups: list[dict[str, TensorFact]] = list(sharded(facts, SHARD_BYTES)) or [{}]
    for number, group in enumerate(groups, start=1):
        write_tensors(folder / tensor_file_name(stem, number, len(groups)), group, passing, finite=False)
    if len(groups) > 1:
        write_json(folder / f"{stem}{SUFFIX}.index.json", tensor_file_index(stem, groups))
    return digests


def require_whole(folder: Path) -> Manifest:
    """The manifest of a checkpoint of which every byte is the one that was written.

    Raises:
        BrokenLineage: names the damaged file, and the tensor in it.
    """
    manifest = read_manifest(folder)
    for path, what in damaged_files(folder, manifest):
        where = _damaged_tensor(folder, path) if path.suffix == SUFFIX and path.exists() else ""
        raise BrokenLineage(f"{path}: {what}{where}; restore {folder}, or make it again with `libertas replay`")
    return manifest


def _damaged_tensor(folder: Path, path: Path) -> str:
    """Where in a damaged file of tensors the damage lies, if the record of their hashes is there."""
    try:
        stem = OPTIMIZER if path.name.startswith(OPTIMIZER) else WEIGHTS
        digests: dict[str, str] = orjson.loads((folder / TENSORS).read_bytes())[stem]
    except (OSError, ValueError, KeyError):
        digests = {}
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            bad = [name for name in names if name in digests and tensor_digest(file.get_tensor(name)) != digests[name]]
    except (SafetensorError, OSError):
        return ", in its header"
    return f", in the tensor {bad[0]}" if bad else ", in its header" if digests else ""


def verified(folder: Path) -> bool:
    """Whether every byte of a checkpoint is the one that was written; the reader is told if not."""
    try:
        require_whole(folder)
    except (LibertasError, OSError) as error:
        say(f"[yellow]skipping a checkpoint:[/yellow] {escape(str(error))}")
        return False
    return True


def saved_under(parent: Path) -> list[Path]:
    """Finished checkpoints in a folder, the oldest first."""
    return sorted(p for p in parent.glob("step-*") if is_artifact(p) and not p.name.endswith(PARTIAL))


def remove_unfinished(parent: Path) -> None:
    """Remove what a killed run had only partly written, or partly removed."""
    for leftover in [p for p in parent.glob("step-*") if p.name.endswith(PARTIAL) or not is_artifact(p)]:
        shutil.rmtree(leftover)


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint; one that is only partly removed is never taken for whole."""
    going = folder.with_name(folder.name + PARTIAL)
    folder.rename(going)
    shutil.rmtree(going)


def newest_state(*parents: Path, until: int | None = None) -> Path | None:
    """The newest verified full state under some folders, at the latest after step `until`."""
    found = [p for parent in parents for p in saved_under(parent) if until is None or step_of(p) <= until]
    return next((p for p in sorted(found, key=step_of, reverse=True) if verified(p)), None)


class _Read(Mapping[str, Tensor]):
    """Tensors of a checkpoint, each read when it is asked for."""

    def __init__(self, files: TensorFiles) -> None:
        self.files = files

    def __getitem__(self, name: str) -> Tensor:
        return self.files.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.files.names())

    def __len__(self) -> int:
        return len(self.files.names())


def read_into(folder: Path, stem: str, use: Callable[[Mapping[str, Tensor]], object]) -> None:
    """Hand the tensors of a checkpoint to `use`, in whatever files they lie."""
    with TensorFiles(folder, stem) as files:
        use(_Read(files))


def restore(folder: Path, model: Model, optimizers: Optimizers, layout: Layout = ALONE) -> int:
    """Load a full state into a model and its optimizers; returns its step."""
    read_into(folder, WEIGHTS, lambda weights: put_weights(model, weights, layout))
    read_into(folder, OPTIMIZER, lambda state: put_state(model, optimizers, state, layout))
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
    require_whole(path)
    model = Model(ModelConfig.from_json(orjson.loads((path / SHAPE).read_bytes())), seed=None)
    try:
        read_into(path, WEIGHTS, lambda weights: model.load_state_dict(dict(weights)))
    except RuntimeError as error:
        raise BrokenLineage(f"{path} does not hold the weights that {SHAPE} describes: {error}") from error
    tokenizer = bpe.load_tokenizer(_tokenizer_of(path, manifest.counts))
    return Checkpoint(path, int(manifest.counts["step"]), model.eval(), tokenizer, str(manifest.counts["weights"]))


def _tokenizer_of(path: Path, counts: dict[str, Any]) -> Path:
    """The tokenizer in an imported checkpoint, beside an archived one, or in the tokens that it was trained on."""
    own, beside = path / TOKENIZER, path.parent / TOKENIZER
    if own.exists():
        return own
    if "tokenizer" in counts and beside.exists() and file_digest(beside) == counts["tokenizer"]:
        return beside
    return input_of(path, "tokens") / TOKENIZER
