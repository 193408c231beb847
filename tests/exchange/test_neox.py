"""GPT-NeoX's files: cut into any number of parts and put together again, bit for bit where the format allows it."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import torch
from safetensors.torch import load_file

from libertas.errors import UsageError
from libertas.exchange import folder as exchange
from libertas.exchange.config import ExportConfig, ImportConfig
from libertas.exchange.neox import file_name, padded_vocabulary, unmerged_count
from libertas.lineage.manifest import read_manifest
from libertas.model.config import ModelConfig
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model

transformers = pytest.importorskip("transformers")
SHAPE = replace(SIZES["tiny-neox"], heads=8, width=64, vocabulary=300)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(SIZES, "tiny-parts", SHAPE)
    return "tiny-parts"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = transformers.GPTNeoXForCausalLM(
        transformers.GPTNeoXConfig(
            vocab_size=300,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=8,
            intermediate_size=256,
            max_position_embeddings=64,
            hidden_act="gelu_new",
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5},
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(tmp_path / "hf")
    return exchange.import_model(ImportConfig(folder=tmp_path / "hf", out=tmp_path / "checkpoint"))


@pytest.mark.parametrize("parts", [1, 2, 4, 8])
def test_parts_put_together_are_the_model_bit_for_bit(checkpoint: Path, tiny: str, parts: int) -> None:
    root = checkpoint.parent
    out = exchange.export_model(ExportConfig(checkpoint=checkpoint, out=root / "parts", to="neox", parts=parts))
    assert len(list(out.glob("layer_*.pt"))) == parts * (SHAPE.layers + 3)
    rows = torch.load(out / file_name(0, 0), weights_only=True)["word_embeddings.weight"].shape[0]
    assert rows == padded_vocabulary(300, parts) // parts
    again = exchange.import_model(ImportConfig(folder=out, like=tiny, out=root / "again"))
    assert (again / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()
    assert orjson.loads((again / "model.json").read_bytes()) == {**SHAPE.to_json(), "hidden": None}


def test_what_one_part_computes_is_a_share_of_the_whole(checkpoint: Path) -> None:
    """The sum over parts of what attention and feed-forward add, biases included, is what the whole adds."""
    out = exchange.export_model(
        ExportConfig(checkpoint=checkpoint, out=checkpoint.parent / "parts", to="neox", parts=2)
    )
    model = Model(ModelConfig.from_json(orjson.loads((checkpoint / "model.json").read_bytes())), seed=None)
    model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    x = torch.randn(1, 5, 64)
    total = torch.zeros(1, 5, 64)
    for part in range(2):
        w = torch.load(out / file_name(2, part), weights_only=True)
        up = torch.nn.functional.linear(x, w["mlp.dense_h_to_4h.weight"], w["mlp.dense_h_to_4h.bias"])
        hidden = torch.nn.functional.gelu(up, approximate="tanh")
        total += torch.nn.functional.linear(hidden, w["mlp.dense_4h_to_h.weight"], w["mlp.dense_4h_to_h.bias"])
    with torch.no_grad():
        whole = next(model.each_block()).feed_forward(x)
    assert torch.allclose(total, whole, atol=1e-5)


def test_norms_that_drifted_apart_are_averaged_measured_and_told_of(
    checkpoint: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = checkpoint.parent
    out = exchange.export_model(ExportConfig(checkpoint=checkpoint, out=root / "parts", to="neox", parts=2))
    path = out / file_name(3, 1)
    content = torch.load(path, weights_only=True)
    content["input_layernorm.weight"] = content["input_layernorm.weight"] + 0.5
    torch.save(content, path)
    again = exchange.import_model(ImportConfig(folder=out, like=tiny, out=root / "again"))
    name = "gpt_neox.layers.1.input_layernorm.weight"
    assert read_manifest(again).counts["norms_apart"] == pytest.approx({name: 0.5}, abs=1e-6)
    assert "1 norms differ between the 2 parts, by up to 0.5" in " ".join(capsys.readouterr().err.split())
    before = load_file(checkpoint / "model.safetensors")["blocks.1.norm_attention.weight"]
    after = load_file(again / "model.safetensors")["blocks.1.norm_attention.weight"]
    assert torch.allclose(after, before + 0.25, atol=1e-6)


def test_the_published_count_of_the_20b_model_is_that_of_its_two_parts() -> None:
    assert unmerged_count(SIZES["gpt-neox-20b"], 2) == 20_556_201_984
    assert unmerged_count(SIZES["gpt-neox-20b"], 1) == 20_554_567_680


def test_what_is_no_complete_set_of_parts_is_refused(checkpoint: Path, tiny: str) -> None:
    root = checkpoint.parent
    out = exchange.export_model(ExportConfig(checkpoint=checkpoint, out=root / "parts", to="neox", parts=2))

    def refusal(**settings: str) -> str:
        with pytest.raises(UsageError) as error:
            exchange.import_model(ImportConfig(folder=out, out=root / "again", **settings))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "do not say their size; name it with --like" in refusal()
    assert "which is no GPT-NeoX" in refusal(like="gpt2")
    assert "layer_04-model_00-model_states.pt does not exist; expected it for a model of this size" in refusal(
        like="pythia-14m"
    )
    path = out / file_name(3, 1)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "surprise": torch.ones(2)}, path)
    assert "has, beyond what GPT-NeoX has, the tensor surprise" in refusal(like=tiny)
    torch.save({"a": refusal}.keys() and {"a": Path}, path)
    assert "cannot be read as tensors alone" in refusal(like=tiny)
    path.unlink()
    assert f"lacks {file_name(3, 1)}" in refusal(like=tiny)
