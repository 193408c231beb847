"""Documents packed into one row do not see each other, whatever the attention and the positions."""

from dataclasses import replace

import pytest
import torch

from libertas.model.attend import attend, visible
from libertas.model.config import ModelConfig
from libertas.model.positions import slopes
from libertas.model.transformer import Model

SHAPE = ModelConfig(vocabulary=31, width=32, layers=3, heads=4, context=64, window=5)


@pytest.mark.parametrize("positions", ["learned", "axial", "rotary", "alibi", "sinusoidal", "none"])
@pytest.mark.parametrize("key_heads", [None, 2])
def test_a_document_in_a_row_of_several_is_read_as_if_it_were_alone(positions: str, key_heads: int | None) -> None:
    model = Model(replace(SHAPE, positions=positions, key_heads=key_heads), seed=2).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    generator = torch.Generator().manual_seed(0)
    lengths = (7, 1, 20, 12)
    parts = [torch.randint(0, 31, (1, n), generator=generator) for n in lengths]
    documents = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))[None]
    together = model(torch.cat(parts, dim=1), documents=documents)
    alone = torch.cat([model(part) for part in parts], dim=1)
    assert torch.allclose(together, alone, atol=1e-4)
    gradient = torch.autograd.grad(together[0, 30].sum(), model.embedding.weight, retain_graph=True)[0]
    assert torch.isfinite(gradient).all()


def test_linear_layers_are_cached_and_keep_documents_apart() -> None:
    model = Model(replace(SHAPE, attention=("global", "linear", "local")), seed=2).eval()
    tokens = torch.randint(0, 31, (2, 30), generator=torch.Generator().manual_seed(0))
    documents = (torch.arange(30) // 13)[None].expand(2, -1)
    with torch.no_grad():
        whole = model(tokens, documents=documents)
        cache, start, steps = model.new_cache(), 0, []
        for part in tokens.split([11, 1, 1, 17], dim=1):
            start += part.shape[1]
            steps.append(model(part, cache, documents[:, :start]))
        assert torch.allclose(torch.cat(steps, dim=1), whole, atol=1e-5)
        assert torch.allclose(whole[:, 13:26], model(tokens[:, 13:26]), atol=1e-5)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("documents", [None, torch.tensor([[0, 0, 0, 1, 1, 1, 1]])])
def test_a_sink_takes_its_share_of_the_softmax_and_gives_nothing(
    window: int | None, documents: torch.Tensor | None
) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 7, 4, generator=generator) for _ in range(3))
    sinks = torch.tensor([0.7, -1.2])
    seen = visible(7, 7, window)
    if documents is not None:
        seen = seen & (documents[0, :, None] == documents[0, None, :])
    weights = ((q @ k.transpose(-1, -2)) * 0.5).masked_fill(~seen, -torch.inf).exp()
    expected = (weights @ v) / (weights.sum(-1) + sinks.exp()[:, None])[..., None]
    assert torch.allclose(attend(q, k, v, window, 0.5, documents, None, sinks), expected, atol=1e-5)


def test_an_axial_position_is_the_mean_of_its_row_and_its_column() -> None:
    shape = replace(SHAPE, positions="axial", axial_columns=8, context=20)
    model = Model(shape, seed=0)
    assert model.positions is not None
    table = model.positions.weight
    assert len(table) == 3 + 8
    seen = []
    model.blocks[0].norm_attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.zeros(1, 20, dtype=torch.long))
    added = seen[0][0] - model.embedding.weight[0]
    assert torch.allclose(added[13], (table[1] + table[3 + 5]) / 2, atol=1e-6)
    assert torch.allclose(added[7], (table[0] + table[3 + 7]) / 2, atol=1e-6)


def test_alibi_falls_by_the_published_slopes() -> None:
    assert slopes(8).tolist() == [2.0**-h for h in range(1, 9)]
    assert slopes(6).tolist() == pytest.approx([2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])
