"""Counted operations against a count by hand and against torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from libertas.model.config import ModelConfig
from libertas.model.cost import forward_flops_per_token, training_flops_per_token
from libertas.model.transformer import Model


def test_matrix_multiplications_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.model.linear.ONEDNN", False)  # whose operation torch does not count
    shape = ModelConfig(vocabulary=64, width=16, layers=2, heads=2, context=32, attention=("global",))
    with FlopCounterMode(display=False) as counter:
        Model(shape)(torch.zeros(1, 32, dtype=torch.long))
    ours = forward_flops_per_token(shape, 32)
    linear = sum(v for k, v in ours.items() if k != "scores and mixing") * 32
    counts = {str(k): v for k, v in counter.get_flop_counts()["Global"].items()}
    assert linear == sum(v for k, v in counts.items() if "attention" not in k)


def test_causal_attention_counts_every_visible_pair_once() -> None:
    shape = ModelConfig(vocabulary=64, width=16, layers=2, heads=2, context=8, window=3, attention=("global", "local"))
    pairs_global = sum(min(t, 8) for t in range(1, 9))
    pairs_local = sum(min(t, 3) for t in range(1, 9))
    expected = 2 * 2 * 16 * (pairs_global + pairs_local) / 8
    assert forward_flops_per_token(shape, 8)["scores and mixing"] == expected


def test_training_costs_three_forward_passes() -> None:
    shape = ModelConfig(vocabulary=64, width=16, layers=2, heads=2, context=8)
    assert training_flops_per_token(shape, 8) == 3 * sum(forward_flops_per_token(shape, 8).values())
