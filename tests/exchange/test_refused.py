"""What is not exactly a model that we compute is refused, naming file and tensor; nothing is drawn anew."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from tokenizers import Tokenizer, models

transformers = pytest.importorskip("transformers")

from published import published  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from libertas.errors import UsageError  # noqa: E402
from libertas.exchange.config import ExportConfig, ImportConfig  # noqa: E402
from libertas.exchange.folder import export_model, import_model  # noqa: E402
from libertas.exchange.settings import architecture_of  # noqa: E402
from libertas.model.sizes import SIZES  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published("neox").save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


def refusal(folder: Path) -> str:
    out = folder.parent / "ours"
    with pytest.raises(UsageError) as error:
        import_model(ImportConfig(folder=folder, out=out))
    assert not out.exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **changes}))


def change_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    path = folder / "model.safetensors"
    tensors = {**load_file(path), **{k.replace("__", "."): v for k, v in changes.items()}}
    save_file({k: v.contiguous() for k, v in tensors.items() if v is not None}, path)


BIAS = "gpt_neox__layers__1__attention__dense__bias"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["FalconForCausalLM"]}, "the architecture 'FalconForCausalLM' is not known; "),
        ({"soft_cap": 15.0}, "GPTNeoXForCausalLM has no key 'soft_cap' that is known here"),
        ({"attention_bias": False}, "attention_bias is False; expected True"),
        ({"hidden_act": "mish"}, "activation is 'mish'; expected one of gelu"),
        ({"num_attention_heads": 5}, "width is 32, which 5 heads do not divide"),
        ({"hidden_size": "wide"}, "hidden_size is 'wide'; expected a whole number"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_type is 'yarn'; expected 'default'"),
        ({"intermediate_size": 100}, "mlp.dense_h_to_4h.weight has shape (96, 32); expected (100, 32)"),
        ({"num_hidden_layers": 4}, "has no tensor gpt_neox.layers.3."),
        ({"num_hidden_layers": 2}, "tensor gpt_neox.layers.2."),
        ({"architectures": [5]}, "the architecture '5' is not known"),
        ({"architectures": "GPTNeoXForCausalLM"}, "the architecture '(none)' is not known"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000; expected a whole number above 0"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True; expected a whole number"),
        ({"layer_norm_eps": None}, "layer_norm_eps is None; expected a number above 0"),
        ({"use_parallel_residual": "no"}, "use_parallel_residual is 'no'; expected true or false"),
        ({"hidden_act": ["gelu"]}, "hidden_act is ['gelu']; expected a name"),
        ({"rope_parameters": "plain"}, "rope_parameters is 'plain'; expected settings"),
        ({"rope_parameters": {"partial_rotary_factor": 2.5}}, "which turns 20 of 8 numbers of a head"),
        ({"eos_token_id": 99}, "eos_token_id is 99; expected a token id below 99"),
        ({"eos_token_id": "end"}, "eos_token_id is 'end'; expected a token id"),
    ],
)
def test_settings_that_are_not_computed_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    change_config(folder, **changes)
    assert message in refusal(folder)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    bias = load_file(folder / "model.safetensors")[BIAS.replace("__", ".")]
    for changes, message in (
        ({BIAS: None}, "has no tensor gpt_neox.layers.1.attention.dense.bias"),
        ({BIAS: bias[:5]}, "gpt_neox.layers.1.attention.dense.bias has shape (5,); expected (32,)"),
        (
            {BIAS: bias * torch.nan},
            "model.safetensors: tensor gpt_neox.layers.1.attention.dense.bias holds NaN or infinity",
        ),
        ({BIAS: bias.int()}, "is of I32; expected F32, F16 or BF16"),
        ({BIAS: bias, "gpt_neox__extra": bias + 1}, "tensor gpt_neox.extra belongs to no part of GPTNeoXForCausalLM"),
    ):
        change_weights(folder, **changes)
        assert message in refusal(folder)


def test_a_pickle_is_refused_with_the_reason(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    assert "pytorch_model.bin is a pickle, which may run any program when it is read" in refusal(folder)


def test_a_cut_file_is_refused(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    for length in (0, 7, 100, len(data) - 1):
        (folder / "model.safetensors").write_bytes(data[:length])
        assert "model.safetensors cannot be read as safetensors" in refusal(folder)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(folder: Path) -> None:
    words = {f"w{n}": n for n in range(100)}
    Tokenizer(models.WordLevel(words, unk_token="w0")).save(str(folder / "tokenizer.json"))
    assert "tokenizer.json has token ids below 100, of which the model knows 99" in refusal(folder)
    Tokenizer(models.WordLevel({"a": 0, "b": 500}, unk_token="a")).save(str(folder / "tokenizer.json"))
    assert "tokenizer.json has token ids below 501, of which the model knows 99" in refusal(folder)


@pytest.mark.parametrize(
    "places", [{"a": "gone.safetensors"}, {"a": "../theirs/model.safetensors"}, {"a": 5}, ["model.safetensors"], {}]
)
def test_an_index_that_leads_nowhere_or_elsewhere_is_refused(folder: Path, places: Any) -> None:
    (folder / "model.safetensors.index.json").write_bytes(orjson.dumps({"weight_map": places}))
    assert str(folder) in refusal(folder)


def test_an_output_embedding_that_is_said_to_be_tied_and_is_not_is_refused(tmp_path: Path) -> None:
    published("gpt2").save_pretrained(tmp_path / "theirs")
    weights = load_file(tmp_path / "theirs" / "model.safetensors")
    change_weights(tmp_path / "theirs", lm_head__weight=weights["transformer.wte.weight"].clone())
    import_model(ImportConfig(folder=tmp_path / "theirs", out=tmp_path / "same"))
    change_weights(tmp_path / "theirs", lm_head__weight=weights["transformer.wte.weight"] + 1)
    assert "lm_head.weight differs from transformer.wte.weight; expected a copy" in refusal(tmp_path / "theirs")


def test_a_model_trained_under_mup_is_one_of_a_published_class_unless_its_attention_is_not() -> None:
    shape = replace(SIZES["tiny-neox"], initialization="mup", base_width=16, base_head_width=16)
    assert architecture_of(shape).name == "GPTNeoXForCausalLM"
    with pytest.raises(UsageError, match=r"no published class multiplies queries and keys by sqrt\(8\) / 16"):
        architecture_of(replace(shape, base_head_width=8))


def test_a_folder_without_settings_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "config.json does not exist" in refusal(folder)


def test_half_precision_passes_through_as_it_is_and_large_models_in_several_files(folder: Path) -> None:
    model = published("llama").to(torch.bfloat16)
    model.save_pretrained(folder.parent / "half")
    import_model(ImportConfig(folder=folder.parent / "half", out=folder.parent / "ours"))
    out = export_model(ExportConfig(checkpoint=folder.parent / "ours", out=folder.parent / "out", shard_bytes=9000))
    files = sorted(p.name for p in out.glob("*.safetensors"))
    assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
    assert len(files) > 2
    reopened = transformers.AutoModelForCausalLM.from_pretrained(out, dtype="auto")
    assert reopened.dtype == torch.bfloat16
    for name, tensor in model.state_dict().items():
        assert torch.equal(reopened.state_dict()[name], tensor), name
