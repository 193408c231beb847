"""muP: activations do not depend on the width, and the check of that sees when they do."""

from dataclasses import replace

import pytest
import torch

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.model.mup import learning_rate_multiplier
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model
from libertas.train.coordinate_check import CHECK_WIDTHS, Coordinates, check_coordinates

WIDTHS = (32, 64, 128, 256)


@pytest.mark.parametrize("size", ["tiny", "tiny-neox"])
def test_activations_keep_their_size_under_mup_and_not_otherwise(size: str) -> None:
    found = {how: check_coordinates(replace(SIZES[size], initialization=how), WIDTHS) for how in ("mup", "neo", "gpt2")}
    assert {how: check.passes() for how, check in found.items()} == {"mup": True, "neo": False, "gpt2": False}
    assert found["gpt2"].slope("residual stream", 4) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("size", ["tiny", "tiny-neox", "tiny-modern", "tiny-linear", "tiny-experts", "gpt-j-6b"])
def test_activations_keep_their_size_over_sixteen_times_the_width(size: str) -> None:
    assert CHECK_WIDTHS[-1] == 16 * CHECK_WIDTHS[0]
    assert check_coordinates(replace(SIZES[size], initialization="mup")).passes()
    for how in ("neo", "gpt2", "neox"):
        assert not check_coordinates(replace(SIZES[size], initialization=how)).passes()


def test_products_of_queries_and_keys_that_agree_keep_their_size_where_heads_get_wider() -> None:
    logits = []
    for wide in (False, True):
        sizes = []
        for heads, width in ((4, 64), (4, 1024)):
            shape = replace(SIZES["tiny-neox"], width=width, heads=heads, initialization="mup", base_width=64)
            shape = replace(shape, base_head_width=16 if wide else None)
            q = torch.ones(shape.key_width)  # a query and a key that have learned to agree
            sizes.append(float(shape.scale * q @ q))
        logits.append(sizes[1] / sizes[0])
    assert logits == pytest.approx([4.0, 1.0])


def test_a_slope_is_that_of_a_power_of_the_width() -> None:
    check = Coordinates((2, 8, 32), {("logits", 0): [3 * w**-0.5 for w in (2, 8, 32)], ("logits", 1): [1, 1, 1]})
    assert check.slope("logits", 0) == pytest.approx(-0.5)
    assert check.passes()  # only the last step counts
    assert not Coordinates((2, 8), {("logits", 0): [1.0, 8.0]}).passes()
    assert not Coordinates((2, 8), {("logits", 0): [1.0, float("nan")]}).passes()


def test_at_the_base_width_nothing_differs_from_neo_and_all_learn_alike() -> None:
    shape = replace(SIZES["tiny"], initialization="mup", base_width=32)
    mup, neo = Model(shape, seed=3), Model(replace(shape, initialization="neo"), seed=3)
    for (name, ours), theirs in zip(mup.named_parameters(), neo.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
        assert learning_rate_multiplier(shape, name) == 1.0


@pytest.mark.parametrize("size", ["tiny", "tiny-modern", "tiny-experts", "gpt-j-6b"])
def test_matrices_in_blocks_and_the_last_norm_learn_by_as_much_less_as_the_model_is_wider(size: str) -> None:
    shape = replace(SIZES[size], initialization="mup", base_width=SIZES[size].width // 8)
    with torch.device("meta"):
        names = [(name, p.ndim) for name, p in Model(shape, seed=None).named_parameters()]
    slow = {name for name, _ in names if learning_rate_multiplier(shape, name) == 1 / 8}
    assert slow == {n for n, d in names if (n.startswith("blocks.") and d > 1) or n.startswith("norm.")}
    assert {learning_rate_multiplier(shape, name) for name, _ in names if name not in slow} == {1.0}
    assert {learning_rate_multiplier(SIZES[size], name) for name, _ in names} == {1.0}


def test_logits_of_a_wider_model_start_as_if_they_were_multiplied() -> None:
    shape = replace(SIZES["tiny"], initialization="mup", base_width=8)
    model = Model(shape, seed=0)
    tokens = torch.arange(10)[None]
    before = model(tokens)
    with torch.no_grad():
        model.norm.weight.fill_(1.0)
    assert torch.allclose(before, model(tokens) * 8 / 32, atol=1e-6)


def test_a_base_head_width_goes_with_no_other_factor() -> None:
    sizes = {"vocabulary": 9, "width": 8, "layers": 1, "heads": 1, "context": 4}
    with pytest.raises(UsageError, match=r"base_head_width is 4 with an attention_scale of 1\.0"):
        ModelConfig(**sizes, base_head_width=4)
    with pytest.raises(UsageError, match="base_width is 0"):
        ModelConfig(**sizes, base_width=0)
