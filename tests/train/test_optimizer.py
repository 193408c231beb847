"""Optimizers against their formulas, their groups, and their state as tensors."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers

from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.train.adafactor import Adafactor
from libertas.train.config import TrainConfig
from libertas.train.muon import Muon, orthogonalized
from libertas.train.optimizer import load_state_tensors, make_optimizers, state_tensors

SHAPE = ModelConfig(vocabulary=20, width=8, layers=2, heads=2, context=8)


def config(optimizer: str = "muon") -> TrainConfig:
    return TrainConfig(tokens=Path("t"), out=Path("o"), optimizer=optimizer)


def train(model: Model, optimizers: dict[str, torch.optim.Optimizer], steps: int) -> None:
    tokens = torch.arange(9)[None]
    for _ in range(steps):
        for optimizer in optimizers.values():
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = 0.01
        model.loss(tokens[:, :-1], tokens[:, 1:]).mean().backward()
        for optimizer in optimizers.values():
            optimizer.step()


def test_a_step_of_adamw_is_the_published_formula() -> None:
    model = Model(SHAPE)
    optimizer = make_optimizers(model, config("adamw"))["learning_rate"]
    weight = model.blocks[0].feed_forward.up.weight
    before = weight.detach().clone()
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    weight.grad = gradient.clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    optimizer.step()
    moment, square = 0.1 * gradient / (1 - 0.9), 0.05 * gradient**2 / (1 - 0.95)  # bias-corrected, first step
    expected = before * (1 - 0.01 * 0.1) - 0.01 * moment / (square.sqrt() + 1e-8)
    torch.testing.assert_close(weight.detach(), expected)


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_orthogonalized_keeps_directions_and_levels_singular_values(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    updates = orthogonalized(matrices)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    in_their_basis = left.transpose(1, 2) @ updates @ right.transpose(1, 2)
    values = in_their_basis.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.3  # the smallest singular values of a square Gaussian are not lifted all the way
    assert values.max() < 1.3
    torch.testing.assert_close(in_their_basis, torch.diag_embed(values), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(12, 12), (8, 32), (32, 8)])
def test_muon_moves_as_torchs_own_does_up_to_its_bfloat16(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(2)
    ours = torch.nn.Parameter(torch.randn(shape, generator=generator))
    theirs = torch.nn.Parameter(ours.detach().clone())
    one = Muon([ours], weight_decay=0.1)
    two = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95)
    one.param_groups[0]["lr"] = 0.02
    for _ in range(5):
        gradient = torch.randn(shape, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        one.step()
        two.step()
    torch.testing.assert_close(ours, theirs, atol=5e-3, rtol=0)


@pytest.mark.parametrize("shape", [(6,), (6, 9), (3, 6, 9)])
def test_adafactor_moves_as_that_of_transformers_with_rates_that_are_given(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(2)
    ours = torch.nn.Parameter(torch.randn(shape, generator=generator))
    theirs = torch.nn.Parameter(ours.detach().clone())
    one = Adafactor([ours], weight_decay=0.1)
    two = transformers.Adafactor([theirs], lr=0.02, scale_parameter=False, relative_step=False, weight_decay=0.1)
    one.param_groups[0]["lr"] = 0.02
    for step in range(5):
        gradient = torch.randn(shape, generator=generator) * 10.0**step  # from the second on, updates are clipped
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        one.step()
        two.step()
    torch.testing.assert_close(ours, theirs)


def test_adafactor_keeps_a_number_for_each_row_and_one_for_each_column() -> None:
    matrix = torch.nn.Parameter(torch.ones(30, 50))
    optimizer = Adafactor([matrix])
    matrix.grad = torch.ones(30, 50)
    optimizer.step()
    assert sorted(state.numel() for state in optimizer.state[matrix].values()) == [1, 30, 50]


def test_learning_rates_fall_with_the_width_where_the_model_says_so() -> None:
    wide = replace(SHAPE, initialization="mup", base_width=4)  # half the width of the model
    (optimizer,) = make_optimizers(Model(wide), config("adamw")).values()
    assert {(g["weight_decay"], g["factor"]) for g in optimizer.param_groups} == {
        (0.1, 1.0),
        (0.0, 1.0),
        (0.1, 0.5),
        (0.0, 0.5),
    }


def test_muon_moves_each_expert_of_a_stack_as_a_matrix_of_its_own() -> None:
    values, gradient = torch.randn(3, 8, 4), torch.randn(3, 8, 4)
    stack = values.clone().requires_grad_()
    matrices = [v.clone().requires_grad_() for v in values]
    stack.grad = gradient.clone()
    for matrix, part in zip(matrices, gradient, strict=True):
        matrix.grad = part.clone()
    for optimizer in (Muon([stack], weight_decay=0.1), Muon(matrices, weight_decay=0.1)):
        optimizer.param_groups[0]["lr"] = 0.02
        optimizer.step()
    assert torch.allclose(stack, torch.stack(matrices), atol=1e-6)


def test_muon_takes_the_matrices_inside_the_blocks_and_adamw_the_rest() -> None:
    model = Model(SHAPE)
    optimizers = make_optimizers(model, config())
    names = {p: n for n, p in model.named_parameters()}
    groups = {s: [[names[p] for p in g["params"]] for g in o.param_groups] for s, o in optimizers.items()}
    assert all(n.startswith("blocks") and n.endswith("weight") for n in groups["muon_rate"][0])
    assert groups["learning_rate"][0] == ["embedding.weight"]
    assert "positions.weight" in groups["learning_rate"][1]
    assert sorted(n for o in groups.values() for g in o for n in g) == sorted(names.values())
    assert [g["weight_decay"] for g in optimizers["learning_rate"].param_groups] == [0.1, 0.0]


@pytest.mark.parametrize("name", ["muon", "adamw", "adafactor"])
def test_the_state_survives_a_round_trip_through_tensors(name: str) -> None:
    first, second = Model(SHAPE), Model(SHAPE, seed=9)
    one = make_optimizers(first, config(name))
    train(first, one, 3)
    second.load_state_dict(first.state_dict())
    two = make_optimizers(second, config(name))
    load_state_tensors(second, two, {k: v.clone() for k, v in state_tensors(first, one).items()})
    train(first, one, 2)
    train(second, two, 2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(Exception, match="optimizer is 'sgd'; expected one of adafactor, adamw, muon"):
        config("sgd")
