"""An encoder-decoder in Hugging Face's folders, in and out: the same logits, texts and bytes."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from libertas.errors import UsageError  # noqa: E402
from libertas.exchange.config import ExportConfig, ImportConfig  # noqa: E402
from libertas.exchange.folder import export_model, import_model  # noqa: E402
from libertas.model.config import ModelConfig  # noqa: E402
from libertas.model.t5 import T5, T5Config, write_greedily  # noqa: E402

SIZES = {
    "vocab_size": 61,
    "d_model": 32,
    "d_kv": 6,
    "d_ff": 40,
    "num_layers": 3,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "feed_forward_proj": "gated-gelu",
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
    "eos_token_id": 1,
}


def saved(folder: Path, kind: str) -> Any:
    """A lively model of theirs in a folder: `tied`; `tied, not scaled` as version 5 makes them; `apart` as T5 1.1."""
    theirs = transformers.T5ForConditionalGeneration(
        transformers.T5Config(**SIZES, tie_word_embeddings=kind == "tied")
    ).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0.0, 0.15, generator=generator))
    theirs.save_pretrained(folder)
    if kind == "apart":  # as google/t5-v1_1-base is written
        weights = load_file(folder / "model.safetensors")
        weights["lm_head.weight"] = torch.randn(61, 32, generator=generator)
        weights["encoder.embed_tokens.weight"] = weights["shared.weight"].clone()
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        change(folder, tie_word_embeddings=False, scale_decoder_outputs=None)
        theirs = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
        assert torch.equal(theirs.lm_head.weight, weights["lm_head.weight"])
    return theirs


def change(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    record = {**orjson.loads(path.read_bytes()), **changes}
    path.write_bytes(orjson.dumps({k: v for k, v in record.items() if v is not None}))


def opened(checkpoint: Path) -> T5:
    model = T5(T5Config.from_json(orjson.loads((checkpoint / "model.json").read_bytes())))
    model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    return model.eval()


def some(rows: int, length: int, seed: int) -> torch.Tensor:
    return torch.randint(2, 61, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["tied", "tied, not scaled", "apart"])
@torch.no_grad()
def test_logits_texts_and_bytes_are_theirs_both_ways(kind: str, tmp_path: Path) -> None:
    theirs = saved(tmp_path / "theirs", kind)
    ours = opened(import_model(ImportConfig(folder=tmp_path / "theirs", out=tmp_path / "ours")))
    again = export_model(ExportConfig(checkpoint=tmp_path / "ours", out=tmp_path / "again"))
    reopened = transformers.AutoModelForSeq2SeqLM.from_pretrained(again).eval()

    tokens, target = some(2, 40, 0), some(2, 23, 1)
    present = torch.ones_like(tokens, dtype=torch.bool)
    present[1, 30:] = False
    expected = theirs(input_ids=tokens, attention_mask=present, decoder_input_ids=target).logits
    assert float((ours(tokens, target, present) - expected).abs().max()) < 1e-5 * float(expected.abs().max())
    assert torch.equal(reopened(input_ids=tokens, attention_mask=present, decoder_input_ids=target).logits, expected)

    prompts = some(5, 17, 4)
    found = write_greedily(ours, prompts, 25, start=0, end=1)
    for row, prompt in zip(found, prompts, strict=True):
        for model in (theirs, reopened):
            text = model.generate(prompt[None], max_new_tokens=25, do_sample=False)[0, 1:].tolist()
            assert row == [token for token in text if token != 1]

    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "again"))
    assert {n for n in after if n in before and not torch.equal(before[n], after[n])} == set()
    assert set(before) ^ set(after) <= {"lm_head.weight", "encoder.embed_tokens.weight"}
    back = import_model(ImportConfig(folder=again, out=tmp_path / "back"))
    for name in ("model.json", "model.safetensors"):
        assert (back / name).read_bytes() == (tmp_path / "ours" / name).read_bytes()


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as error:
        import_model(ImportConfig(folder=folder, out=folder.parent / "ours"))
    assert not (folder.parent / "ours").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feed_forward_proj": "relu"}, "feed_forward_proj is 'relu'; expected 'gated-gelu'"),
        ({"feed_forward_proj": None}, "feed_forward_proj is 'relu'; expected 'gated-gelu'"),
        ({"num_decoder_layers": 2}, "num_decoder_layers is 2; expected as many as num_layers, 3"),
        ({"d_model": "wide"}, "d_model is 'wide'; expected a whole number above 0, such as 512"),
        ({"num_heads": 0}, "num_heads is 0; expected a whole number above 0, such as 8"),
        ({"relative_attention_num_buckets": 6}, "buckets is 6; expected a multiple of 4"),
        ({"soft_cap": 3.0}, "T5ForConditionalGeneration has no key 'soft_cap' that is known here"),
        ({"d_ff": 44}, "wi_0.weight has shape (40, 32); expected (44, 32)"),
        ({"num_layers": 4, "num_decoder_layers": 4}, "has no tensor encoder.block.3.layer."),
        ({"num_layers": 2, "num_decoder_layers": 2}, "tensor decoder.block.2.layer."),
        ({"tie_word_embeddings": False, "scale_decoder_outputs": None}, "has no tensor lm_head.weight"),
    ],
)
def test_what_is_not_computed_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    saved(tmp_path / "theirs", "tied")
    change(tmp_path / "theirs", **changes)
    assert message in refusal(tmp_path / "theirs")


def test_copies_of_the_embedding_that_are_none_and_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "theirs", "tied")
    path = tmp_path / "theirs" / "model.safetensors"
    weights = load_file(path)
    save_file({**weights, "decoder.embed_tokens.weight": weights["shared.weight"] + 1}, path)
    assert "tensor decoder.embed_tokens.weight differs from shared.weight; expected a copy" in refusal(path.parent)
    name = "decoder.block.1.layer.1.EncDecAttention.k.weight"
    save_file({**weights, name: weights[name] * torch.nan}, path)
    assert f"model.safetensors: tensor {name} holds NaN" in refusal(path.parent)


def test_an_encoder_decoder_is_no_model_that_continues_texts(tmp_path: Path) -> None:
    saved(tmp_path / "theirs", "tied")
    ours = import_model(ImportConfig(folder=tmp_path / "theirs", out=tmp_path / "ours"))
    record = orjson.loads((ours / "model.json").read_bytes())
    with pytest.raises(UsageError, match="encoder-decoder"):
        ModelConfig.from_json(record)
    with pytest.raises(UsageError, match="none of an encoder-decoder"):
        T5Config.from_json({"farthest": 3, "depth": 4})
    with pytest.raises(UsageError, match="expected GPT-NeoX's blocks"):
        export_model(ExportConfig(checkpoint=ours, out=tmp_path / "neox", to="neox"))
