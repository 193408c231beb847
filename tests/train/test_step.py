"""One step against plain PyTorch: the same losses, gradients and weights, however it is computed."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.tokenize.pack import Batch
from libertas.train.config import TrainConfig
from libertas.train.optimizer import make_optimizers
from libertas.train.parallel import Layout
from libertas.train.step import Step, compile_blocks

SHAPE = ModelConfig(vocabulary=40, width=32, layers=2, heads=2, context=16, attention=("global",))
GENERATOR = np.random.default_rng(0)
TOKENS = GENERATOR.integers(0, 40, (4, 17))
WEIGHTS = GENERATOR.random((4, 16), dtype=np.float32)
DOCUMENTS = np.repeat([[0] * 5 + [1] * 12], 4, axis=0)


def step_of(shape: ModelConfig = SHAPE, **settings: Any) -> Step:
    given = {"optimizer": "adamw", "batch": 4, "micro_batch": 4, "clip": 1e9, **settings}
    config = TrainConfig(tokens=Path("t"), out=Path("o"), **given)
    model = Model(shape)
    return Step(model, make_optimizers(model, config), config, Layout())


def gradients(step: Step) -> list[torch.Tensor]:
    return [p.grad.clone() for p in step.model.parameters() if p.grad is not None]


def losses(step: Step, steps: int = 5) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(step.measure(Batch(TOKENS)).loss)
        step.update(0.1)
    return found


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_loss_gradients_and_norm_are_those_of_plain_pytorch(tied: bool, weights: np.ndarray | None) -> None:
    step = step_of(replace(SHAPE, tied=tied, logits_bias=not tied))
    measured = step.measure(Batch(TOKENS, weights))
    found = gradients(step)
    step.model.zero_grad()
    tokens = torch.from_numpy(TOKENS)
    each = F.cross_entropy(step.model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:], reduction="none")
    share = torch.ones(4, 16) if weights is None else torch.from_numpy(weights)
    expected = (each * share).sum() / share.sum()
    expected.backward()
    assert measured.loss == pytest.approx(expected.item(), rel=1e-5)
    assert measured.gradient_norm == pytest.approx(torch.nn.utils.get_total_norm(gradients(step)).item(), rel=1e-4)
    for one, other in zip(found, gradients(step), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_micro_batches_change_rounding_only(micro_batch: int) -> None:
    batch = Batch(TOKENS, WEIGHTS, DOCUMENTS)
    whole, parts = (step_of(micro_batch=size, document_masks=True, z_loss=0.01) for size in (4, micro_batch))
    assert parts.measure(batch).loss == pytest.approx(whole.measure(batch).loss, rel=1e-6)
    for one, other in zip(gradients(parts), gradients(whole), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_the_same_step_has_the_same_bits_every_time() -> None:
    assert losses(step_of()) == losses(step_of())


def test_documents_are_masked_where_that_is_asked_for() -> None:
    masked, open_, none = step_of(document_masks=True), step_of(), step_of(document_masks=True)
    tokens = torch.from_numpy(TOKENS)
    first, second = (
        masked.model.loss(tokens[:, part][:, :-1], tokens[:, part][:, 1:]) for part in (slice(0, 6), slice(5, 17))
    )
    expected = torch.cat([first, second], dim=1).mean().item()
    assert masked.measure(Batch(TOKENS, None, DOCUMENTS)).loss == pytest.approx(expected, rel=1e-5)
    assert open_.measure(Batch(TOKENS, None, DOCUMENTS)).loss == none.measure(Batch(TOKENS)).loss
    assert abs(open_.measure(Batch(TOKENS)).loss - expected) > 1e-4


def test_the_losses_of_components_add_up_to_the_loss() -> None:
    step = step_of()
    components = np.zeros((4, 16), np.uint8)
    components[1:, 4:] = 7
    measured = step.measure(Batch(TOKENS, WEIGHTS, None, components))
    assert set(measured.components) == {0, 7}
    for number, (nats, weight) in measured.components.items():
        only = WEIGHTS * (components == number)
        assert weight == pytest.approx(only.sum(), rel=1e-6)
        assert nats / weight == pytest.approx(step_of().measure(Batch(TOKENS, only)).loss, rel=1e-5)
    nats, weights = (sum(pair) for pair in zip(*measured.components.values(), strict=True))
    assert nats / weights == pytest.approx(measured.loss, rel=1e-6)


def test_a_batch_without_weight_has_no_loss_and_no_gradient() -> None:
    step = step_of()
    measured = step.measure(Batch(TOKENS, np.zeros((4, 16), np.float32)))
    assert (measured.loss, measured.gradient_norm) == (0.0, 0.0)


def test_gradients_are_clipped_to_the_norm_and_the_norm_before_is_told() -> None:
    step = step_of(clip=0.5)
    measured = step.measure(Batch(TOKENS))
    assert measured.gradient_norm > 0.5
    assert torch.nn.utils.get_total_norm(gradients(step)).item() == pytest.approx(0.5, rel=1e-4)


def test_z_loss_adds_to_the_gradient_and_not_to_the_reported_loss() -> None:
    plain, step = step_of(), step_of(z_loss=0.1)
    assert step.measure(Batch(TOKENS)).loss == plain.measure(Batch(TOKENS)).loss
    assert not torch.equal(gradients(step)[0], gradients(plain)[0])


@pytest.mark.parametrize("experts", [0, 4])
def test_recomputed_activations_give_the_same_bits(experts: int) -> None:
    shape = replace(SHAPE, experts=experts, feed_forward_bias=not experts)
    kept, again = step_of(shape), step_of(shape, recompute=True)
    assert losses(kept) == losses(again)
    assert all(torch.equal(a, b) for a, b in zip(kept.model.parameters(), again.model.parameters(), strict=True))


def test_recomputing_keeps_less() -> None:
    def kept(step: Step) -> int:
        sizes: list[int] = []

        def note(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            step.model.hidden(torch.from_numpy(TOKENS)[:, :-1])
        return sum(sizes)

    assert kept(step_of(recompute=True)) < kept(step_of()) / 4


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_in_bf16_losses_are_close_and_weights_and_their_state_stay_in_fp32(norm: str) -> None:
    shape = replace(SHAPE, norm=norm, positions="rotary", tied=False)
    exact, step = step_of(shape), step_of(shape, precision="bf16")
    assert losses(step) == pytest.approx(losses(exact), rel=0.01)
    assert step.model.hidden(torch.from_numpy(TOKENS)[:, :-1]).dtype == torch.bfloat16
    assert {p.dtype for p in step.model.parameters()} == {torch.float32}
    state = [t for o in step.optimizers.values() for s in o.state.values() for t in s.values()]
    assert {t.dtype for t in state} == {torch.float32}


def test_without_a_compiler_training_goes_on_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found\nand much more")

    monkeypatch.setattr(torch, "compile", fails)
    step = step_of(compiled=True)
    assert len(step.notes) == 1
    assert "not compiled" in step.notes[0]
    assert "No working C++ compiler found;" in step.notes[0]
    assert losses(step) == losses(step_of())


COMPILED = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_step import SHAPE, Model, losses, step_of
step = step_of(compiled=True)
names = list(step.model.state_dict()) == list(Model(SHAPE).state_dict())
print(json.dumps([step.notes, losses(step), losses(step_of()), names]))
"""


@pytest.mark.slow
def test_compiled_blocks_have_close_losses_and_the_same_parameters() -> None:
    words = [sys.executable, "-W", "ignore", "-c", COMPILED, str(Path(__file__).parent)]  # types are checked here only
    found = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    notes, compiled, plain, same_names = json.loads(found.stdout.splitlines()[-1])
    if notes:
        pytest.skip(notes[0])
    assert compiled == pytest.approx(plain, rel=1e-4)
    assert same_names


@pytest.mark.slow
def test_compiling_for_a_device_that_is_not_there_is_a_note() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert compile_blocks(Model(SHAPE), torch.device("cuda"))[0].startswith("blocks are not compiled")
