"""The held-out loss: as a whole and by component, against a plain computation over single sequences."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from making import document, mixed_corpus, small_corpus

from libertas.model.sizes import named_size
from libertas.model.transformer import Model
from libertas.tokenize.bpe import token_bytes
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import TokenStore, tokenize
from libertas.train.config import TrainConfig
from libertas.train.parallel import ALONE
from libertas.train.validation import Validation


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validation")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    return folder / "tokens"


@pytest.mark.parametrize("masks", [False, True])
def test_bits_per_byte_are_those_of_single_sequences_and_of_each_component(tokens: Path, masks: bool) -> None:
    shape = replace(named_size("tiny"), vocabulary=300)
    model = Model(shape, seed=3)
    store = TokenStore.open(tokens, "validation")
    sizes = token_bytes(store.tokenizer())
    nats: dict[str, float] = {"code": 0.0, "web": 0.0}
    size: dict[str, int] = {"code": 0, "web": 0}
    for begin in range(0, len(store) - 1 - shape.context + 1, shape.context):
        row = torch.from_numpy(store.tokens[begin : begin + shape.context + 1].astype(np.int64))[None]
        owners = torch.tensor([[store.document_at(begin + n) for n in range(shape.context + 1)]])
        with torch.no_grad():
            logits = model(row[:, :-1], documents=owners[:, :-1] if masks else None)[0].log_softmax(-1)
        for place in range(1, shape.context + 1):
            if masks and owners[0, place] != owners[0, place - 1]:
                continue
            name = store.component_names[store.components[owners[0, place]]]
            nats[name] -= float(logits[place - 1, row[0, place]])
            size[name] += int(sizes[row[0, place]])
    found = Validation(TrainConfig(tokens=tokens, out=tokens, document_masks=masks), shape, ALONE).measure(model)
    whole = sum(nats.values()) / math.log(2) / sum(size.values())
    assert found["validation_bits_per_byte"] == pytest.approx(whole, rel=1e-5)
    by_component = {name: nats[name] / math.log(2) / size[name] for name in nats}
    assert found["validation_components"] == pytest.approx(by_component, rel=1e-5)
    assert by_component["code"] != pytest.approx(by_component["web"], rel=1e-3)


def test_one_component_is_not_told_apart_and_nothing_held_out_has_no_bytes(tmp_path: Path) -> None:
    shape = replace(named_size("tiny"), vocabulary=300)
    for name, held_out in (("some", [document(n) for n in range(4)]), ("none", [])):
        corpus = mixed_corpus(tmp_path / f"mix-{name}", [document(n) for n in range(9, 60)], held_out)
        tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / name, vocabulary=300))
        validation = Validation(TrainConfig(tokens=tmp_path / name, out=tmp_path), shape, ALONE)
        assert bool(validation.bytes) == bool(held_out)
        if held_out:
            assert set(validation.measure(Model(shape))) == {"validation_bits_per_byte"}
