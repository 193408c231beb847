"""Every published class, in and out: the same logits, the same texts, the same bytes."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

transformers = pytest.importorskip("transformers")

from published import SETTINGS, published  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from libertas.exchange.config import ExportConfig, ImportConfig  # noqa: E402
from libertas.exchange.folder import export_model, import_model  # noqa: E402
from libertas.model.config import ModelConfig  # noqa: E402
from libertas.model.transformer import Model  # noqa: E402

TOLERANCE = 1e-5


def opened(checkpoint: Path) -> Model:
    model = Model(ModelConfig.from_json(orjson.loads((checkpoint / "model.json").read_bytes())), seed=None)
    model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    return model.eval()


@pytest.fixture(params=sorted(SETTINGS))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Model, Path]:
    theirs = published(request.param)
    theirs.save_pretrained(tmp_path / "theirs")
    import_model(ImportConfig(folder=tmp_path / "theirs", out=tmp_path / "ours"))
    return theirs, opened(tmp_path / "ours"), tmp_path


def some_tokens(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, 99, (rows, length), generator=torch.Generator().manual_seed(seed))


def far_apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / max(1.0, float(theirs.abs().max())))


@torch.no_grad()
def test_logits_are_theirs_beyond_the_local_window_with_padding_and_with_a_cache(pair: Any) -> None:
    theirs, ours, _ = pair
    tokens = some_tokens(2, 40)
    expected = theirs(tokens).logits
    assert far_apart(ours(tokens), expected) < TOLERANCE

    cache = ours.new_cache()
    steps = [ours(part, cache) for part in tokens.split([17, 1, 1, 21], dim=1)]
    assert far_apart(torch.cat(steps, dim=1), expected) < TOLERANCE

    mask = torch.ones_like(tokens)
    mask[0, :11] = 0
    padded = (
        theirs(tokens, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0))
        if takes_positions(theirs)
        else theirs(tokens, attention_mask=mask)
    )
    found = ours(tokens, documents=mask)
    assert far_apart(found[0, 11:], padded.logits[0, 11:]) < TOLERANCE
    assert far_apart(found[1], padded.logits[1]) < TOLERANCE


def takes_positions(theirs: Any) -> bool:
    return theirs.config.model_type != "bloom"


@torch.no_grad()
def test_greedy_texts_are_theirs(pair: Any) -> None:
    theirs, ours, _ = pair
    for seed in range(5):
        prompt = some_tokens(1, 9, seed)
        settings = {"max_new_tokens": 24, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        expected = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)[0].tolist()
        cache, unread, found = ours.new_cache(), prompt, prompt[0].tolist()
        for _ in range(24):
            token = int(ours(unread, cache)[0, -1].argmax())
            found.append(token)
            unread = torch.tensor([[token]])
        assert found == expected


@torch.no_grad()
def test_what_goes_out_again_is_what_came_in(pair: Any) -> None:
    theirs, ours, folder = pair
    export_model(ExportConfig(checkpoint=folder / "ours", out=folder / "again"))
    before = load_file(folder / "theirs" / "model.safetensors")
    after = load_file(folder / "again" / "model.safetensors")
    for name, tensor in after.items():
        assert torch.equal(before[name], tensor), name
    assert set(before) - set(after) <= {"lm_head.weight"}
    reopened = transformers.AutoModelForCausalLM.from_pretrained(folder / "again").eval()
    tokens = some_tokens(2, 33)
    assert torch.equal(reopened(tokens).logits, theirs(tokens).logits)
    import_model(ImportConfig(folder=folder / "again", out=folder / "ours-again"))
    assert (folder / "ours-again" / "model.safetensors").read_bytes() == (
        folder / "ours" / "model.safetensors"
    ).read_bytes()
    assert ours.config == opened(folder / "ours-again").config
