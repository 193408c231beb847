"""Checkpoints: whole or absent, every byte known, the same in one file or many."""

import random
import shutil
from pathlib import Path

import orjson
import pytest
import torch
from making import small_corpus
from safetensors.torch import load_file

from libertas.errors import BrokenLineage, LibertasError
from libertas.lineage.manifest import read_manifest
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train import checkpoint
from libertas.train.config import TrainConfig
from libertas.train.optimizer import Optimizers, make_optimizers, state_tensors
from libertas.train.snapshot import Copies, weights_hash

SHAPE = ModelConfig(vocabulary=300, width=16, layers=1, heads=2, context=16)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    return TrainConfig(tokens=folder / "tokens", out=folder / "run")


def trained(config: TrainConfig, seed: int = 0) -> tuple[Model, Optimizers]:
    """A model and its optimizers after one step."""
    model = Model(SHAPE, seed)
    optimizers = make_optimizers(model, config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        optimizer.step()
    return model, optimizers


def test_a_thousand_changed_bytes_are_all_noticed_and_damage_in_a_tensor_is_named(
    config: TrainConfig, tmp_path: Path
) -> None:
    model, optimizers = trained(config)
    folder = checkpoint.save_checkpoint(tmp_path, 7, model, config, optimizers)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    assert [p.name for p in files] == [
        "manifest.json", "model.json", "model.safetensors", "optimizer.safetensors", "tensors.json",
    ]  # fmt: skip
    sound = {path: path.read_bytes() for path in files}
    chooser, named = random.Random(1), set()
    for turn in range(1000):
        path = files[turn % len(files)]
        data = bytearray(sound[path])
        data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
        path.write_bytes(data)
        with pytest.raises(LibertasError) as caught:
            checkpoint.require_whole(folder)
        assert path.name in str(caught.value)
        named |= {str(caught.value).partition(" in the tensor ")[2].partition(";")[0]}
        path.write_bytes(sound[path])
    checkpoint.require_whole(folder)
    assert {"embedding.weight", "blocks.0.attention.qkv.weight/momentum"} & named or len(named) > 5


def test_a_flipped_byte_names_its_file_and_its_tensor(config: TrainConfig, tmp_path: Path) -> None:
    model, optimizers = trained(config)
    folder = checkpoint.save_checkpoint(tmp_path, 7, model, config, optimizers)
    for file, tensors in (("model", dict(model.state_dict())), ("optimizer", state_tensors(model, optimizers))):
        path = folder / f"{file}.safetensors"
        sound = path.read_bytes()
        name = max(tensors, key=lambda n: tensors[n].numel())
        inside = tensors[name].detach().numpy().tobytes()
        data = bytearray(sound)
        data[sound.index(inside) + 5] ^= 4
        path.write_bytes(data)
        with pytest.raises(
            BrokenLineage, match=rf"{file}\.safetensors: content differs from .*, in the tensor {name};"
        ):
            checkpoint.require_whole(folder)
        path.write_bytes(sound[:8] + b" " + sound[9:])
        with pytest.raises(BrokenLineage, match=rf"{file}\.safetensors: .*, in its header;"):
            checkpoint.require_whole(folder)
        path.write_bytes(sound)


def test_large_models_are_written_in_several_files_that_load_to_the_same_bits(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizers = trained(config)
    one = checkpoint.save_checkpoint(tmp_path / "one", 3, model, config, optimizers)
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 8_000)
    many = checkpoint.save_checkpoint(tmp_path / "many", 3, model, config, optimizers)
    shards = sorted(p.name for p in many.glob("model-*.safetensors"))
    assert len(shards) > 2
    assert shards[0] == f"model-00001-of-{len(shards):05}.safetensors"
    index = orjson.loads((many / "model.safetensors.index.json").read_bytes())
    assert set(index["weight_map"]) == set(model.state_dict())
    assert index["metadata"]["total_size"] == 4 * model.parameter_count()
    for shard in shards:  # as `transformers` would read it
        assert all(index["weight_map"][name] == shard for name in load_file(many / shard))
    assert read_manifest(one).counts == read_manifest(many).counts
    again = Model(SHAPE, seed=5)
    fresh = make_optimizers(again, config)
    assert checkpoint.restore(many, again, fresh) == 3
    assert weights_hash(dict(again.state_dict())) == weights_hash(dict(model.state_dict()))
    ours, theirs = state_tensors(model, optimizers), state_tensors(again, fresh)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert checkpoint.load_checkpoint(many).weights_hash == checkpoint.load_checkpoint(one).weights_hash
    data = bytearray((many / shards[1]).read_bytes())
    data[-1] ^= 1
    (many / shards[1]).write_bytes(data)
    with pytest.raises(BrokenLineage, match=rf"{shards[1]}: .*, in the tensor "):
        checkpoint.load_checkpoint(many)


def test_a_snapshot_stays_what_it_was_while_training_goes_on(config: TrainConfig) -> None:
    model, optimizers = trained(config)
    copies = Copies(model, optimizers)
    taken = copies.take(1, whole=True)
    before = weights_hash(dict(model.state_dict()))
    for optimizer in optimizers.values():
        optimizer.step()
    assert weights_hash(taken.weights) == before != weights_hash(dict(model.state_dict()))
    memory = {name: tensor.data_ptr() for name, tensor in taken.weights.items()}
    again = copies.take(2, whole=True)
    assert {name: tensor.data_ptr() for name, tensor in again.weights.items()} == memory  # one copy at most
    assert weights_hash(again.weights) == weights_hash(dict(model.state_dict()))


def test_unfinished_and_half_removed_folders_are_never_found(config: TrainConfig, tmp_path: Path) -> None:
    model, optimizers = trained(config)
    sound = checkpoint.save_checkpoint(tmp_path, 3, model, config, optimizers)
    shutil.copytree(sound, tmp_path / "step-00000009.partial")
    shutil.copytree(sound, tmp_path / "step-00000008", ignore=shutil.ignore_patterns("manifest.json"))
    assert checkpoint.newest_state(tmp_path) == sound
    checkpoint.remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [sound]
    assert checkpoint.newest_state(tmp_path, until=2) is None


def test_nan_is_written_as_it_is(config: TrainConfig, tmp_path: Path) -> None:
    model, _ = trained(config)
    with torch.no_grad():
        next(model.parameters())[0] = torch.nan
    folder = checkpoint.save_checkpoint(tmp_path, 1, model, config)
    assert read_manifest(folder).counts["weights"] == weights_hash(dict(model.state_dict()))
