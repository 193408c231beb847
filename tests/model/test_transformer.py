"""The model against Hugging Face's GPT-Neo with the same weights, and against itself where it must agree."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from libertas.model.attend import attend, visible
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model

SHAPE = ModelConfig(vocabulary=97, width=32, layers=4, heads=4, context=64, window=16)


def gpt_neo_with_the_weights_of(model: Model) -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    c = model.config
    reference = transformers.GPTNeoForCausalLM(
        transformers.GPTNeoConfig(
            vocab_size=c.vocabulary,
            hidden_size=c.width,
            num_layers=c.layers,
            num_heads=c.heads,
            max_position_embeddings=c.context,
            attention_types=[[list(c.attention), c.layers // len(c.attention)]],
            window_size=c.window,
            intermediate_size=c.hidden_width,
            activation_function="gelu_new",
            attention_dropout=0.0,
            embed_dropout=0.0,
            resid_dropout=0.0,
            attn_implementation="eager",
        )
    ).eval()
    body = reference.transformer
    pairs = {
        body.wte.weight: model.embedding.weight,
        body.wpe.weight: model.positions.weight,
        body.ln_f.weight: model.norm.weight,
        body.ln_f.bias: model.norm.bias,
    }
    for theirs, ours in zip(body.h, model.blocks, strict=True):
        attention = theirs.attn.attention
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        pairs |= dict(zip((p.weight for p in projections), ours.attention.qkv.weight.chunk(3), strict=True))
        for a, b in (
            (attention.out_proj, ours.attention.out),
            (theirs.ln_1, ours.norm_attention),
            (theirs.ln_2, ours.norm_feed_forward),
            (theirs.mlp.c_fc, ours.feed_forward.up),
            (theirs.mlp.c_proj, ours.feed_forward.down),
        ):
            pairs |= {a.weight: b.weight, a.bias: b.bias}
    with torch.no_grad():
        for theirs, ours in pairs.items():
            theirs.copy_(ours)
    return reference


def model_with_lively_weights(shape: ModelConfig = SHAPE) -> Model:
    model = Model(shape, seed=3).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("length", [1, 15, 16, 17, 48, 64])
def test_logits_equal_those_of_hugging_faces_gpt_neo_with_the_same_weights(length: int) -> None:
    model = model_with_lively_weights()
    tokens = torch.randint(0, 97, (2, length), generator=torch.Generator().manual_seed(length))
    with torch.no_grad():
        expected = gpt_neo_with_the_weights_of(model)(tokens).logits
        torch.testing.assert_close(model(tokens), expected, atol=1e-4, rtol=1e-4)


def test_gradients_equal_those_of_hugging_faces_gpt_neo() -> None:
    model = model_with_lively_weights()
    reference = gpt_neo_with_the_weights_of(model)
    tokens = torch.randint(0, 97, (2, 65), generator=torch.Generator().manual_seed(1))
    model.loss(tokens[:, :-1], tokens[:, 1:]).mean().backward()
    logits = reference(tokens[:, :-1]).logits
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    theirs = reference.transformer.h[1].mlp.c_fc.weight.grad
    torch.testing.assert_close(model.blocks[1].feed_forward.up.weight.grad, theirs, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.embedding.weight.grad, reference.transformer.wte.weight.grad, atol=1e-5, rtol=1e-4)


@settings(deadline=None, max_examples=25)
@given(blocks=st.integers(1, 5), window=st.integers(1, 9), heads=st.integers(1, 3), seed=st.integers(0, 99))
def test_local_attention_in_blocks_equals_a_dense_mask(blocks: int, window: int, heads: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    length = blocks * window
    q, k, v = torch.randn(3, 2, heads, length, 4, generator=generator)
    scores = (q @ k.transpose(-1, -2)).masked_fill(~visible(length, length, window), -torch.inf)
    torch.testing.assert_close(attend(q, k, v, window), scores.softmax(-1) @ v, atol=1e-5, rtol=1e-5)


def test_a_window_of_three_sees_itself_and_two_positions_before() -> None:
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1]]
    assert visible(4, 4, 3).int().tolist() == expected


@pytest.mark.parametrize("cuts", [[20], [1, 2, 30], [16, 32], list(range(1, 40))])
def test_a_cache_gives_the_same_logits_as_reading_everything_at_once(cuts: list[int]) -> None:
    model = model_with_lively_weights()
    tokens = torch.randint(0, 97, (2, 40), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        whole = model(tokens)
        cache = model.new_cache()
        pieces = [model(part, cache) for part in tokens.tensor_split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-4, rtol=1e-4)


def test_the_future_cannot_be_seen() -> None:
    model = model_with_lively_weights()
    tokens = torch.arange(50)[None]
    changed = tokens.clone()
    changed[0, 30:] = 96
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[:, :30], model(changed)[:, :30])


def test_parameter_counts_of_the_published_sizes_are_the_published_numbers() -> None:
    from libertas.model.sizes import SIZES

    def count(c: ModelConfig) -> int:
        per_layer = 12 * c.width**2 + 10 * c.width
        return c.vocabulary * c.width + c.context * c.width + c.layers * per_layer + 2 * c.width

    assert count(SIZES["gpt-neo-125m"]) == 125_198_592
    assert count(SIZES["gpt-neo-1.3b"]) == 1_315_575_808
    assert count(SIZES["gpt-neo-2.7b"]) == 2_651_307_520
    assert Model(SIZES["neo-1m"]).parameter_count() == count(SIZES["neo-1m"])


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = Model(SHAPE, seed=4).state_dict()
    torch.manual_seed(2)
    second = Model(SHAPE, seed=4).state_dict()
    assert all(torch.equal(first[n], second[n]) for n in first)
    assert not torch.equal(first["embedding.weight"], Model(SHAPE, seed=5).state_dict()["embedding.weight"])


def test_a_wrong_shape_is_noticed_under_test() -> None:
    with pytest.raises(Exception, match="tokens"):
        Model(SHAPE)(torch.zeros(3, dtype=torch.long))
