"""The encoder-decoder against `transformers`' T5 with the same weights."""

from typing import Any

import pytest
import torch

from libertas.errors import UsageError
from libertas.model.t5 import T5, T5Block, T5Config, write_greedily

transformers = pytest.importorskip("transformers")


def published(tied: bool) -> tuple[Any, T5]:
    config = transformers.T5Config(
        vocab_size=61,
        d_model=32,
        d_kv=6,
        d_ff=40,
        num_layers=3,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=20,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=tied,  # this version always ties them; it scales the output only if it was asked to
        dropout_rate=0.0,
        pad_token_id=0,
        decoder_start_token_id=0,
        eos_token_id=1,
    )
    theirs = transformers.T5ForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0.0, 0.15, generator=generator))
    shape = T5Config(
        vocabulary=61, width=32, layers=3, heads=4, head_width=6, hidden=40, buckets=8, farthest=20, tied=tied
    )
    ours = T5(shape).eval()
    load(ours, theirs)
    return theirs, ours


@torch.no_grad()
def load(ours: T5, theirs: Any) -> None:
    pairs = [
        (theirs.shared, ours.embedding),
        (theirs.encoder.final_layer_norm, ours.encoder_norm),
        (theirs.decoder.final_layer_norm, ours.decoder_norm),
        (theirs.encoder.block[0].layer[0].SelfAttention.relative_attention_bias, ours.encoder_positions),
        (theirs.decoder.block[0].layer[0].SelfAttention.relative_attention_bias, ours.decoder_positions),
    ]
    if ours.logits is not None:
        pairs.append((theirs.lm_head, ours.logits))
    for stack, blocks in ((theirs.encoder, ours.encoder), (theirs.decoder, ours.decoder)):
        for their_block, block in zip(stack.block, blocks, strict=True):
            assert isinstance(block, T5Block)
            layers = their_block.layer
            attentions = [(layers[0].SelfAttention, block.self_attention, layers[0].layer_norm, block.norm_self)]
            if block.cross_attention is not None:
                attentions.append(
                    (layers[1].EncDecAttention, block.cross_attention, layers[1].layer_norm, block.norm_cross)
                )
            for their_part, part, their_norm, norm in attentions:
                for name, mine in (("q", part.query), ("k", part.key), ("v", part.value), ("o", part.out)):
                    pairs.append((getattr(their_part, name), mine))
                pairs.append((their_norm, norm))
            dense = layers[-1].DenseReluDense
            block.feed_forward.up.weight.copy_(torch.cat([dense.wi_0.weight, dense.wi_1.weight]))
            pairs += [(dense.wo, block.feed_forward.down), (layers[-1].layer_norm, block.norm_feed_forward)]
    for source, target in pairs:
        target.weight.copy_(source.weight)


@pytest.fixture(params=[False, True], ids=["own output", "tied"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, T5]:
    return published(request.param)


def some(rows: int, length: int, seed: int) -> torch.Tensor:
    return torch.randint(2, 61, (rows, length), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_logits_are_theirs_far_apart_and_with_padding(pair: tuple[Any, T5]) -> None:
    theirs, ours = pair
    tokens, target = some(2, 50, 0), some(2, 37, 1)
    present = torch.ones_like(tokens, dtype=torch.bool)
    present[1, 30:] = False
    for mask in (None, present):
        expected = theirs(input_ids=tokens, attention_mask=mask, decoder_input_ids=target).logits
        found = ours(tokens, target, mask)
        assert float((found - expected).abs().max()) < 1e-5 * max(1.0, float(expected.abs().max()))


@torch.no_grad()
def test_writing_with_a_cache_gives_the_logits_of_writing_at_once(pair: tuple[Any, T5]) -> None:
    _, ours = pair
    tokens, target = some(2, 20, 2), some(2, 30, 3)
    whole, cache = ours(tokens, target), ours.new_cache(ours.encode(tokens))
    steps = torch.cat([ours.decode(part, cache) for part in target.split([1, 1, 20, 8], dim=1)], dim=1)
    assert torch.allclose(steps, whole, atol=1e-4, rtol=1e-4)
    assert cache.length == 30


def test_greedy_texts_are_theirs(pair: tuple[Any, T5]) -> None:
    theirs, ours = pair
    tokens = some(5, 17, 4)
    found = write_greedily(ours, tokens, 25, start=0, end=1)
    for row, prompt in zip(found, tokens, strict=True):
        expected = theirs.generate(prompt[None], max_new_tokens=25, do_sample=False)[0, 1:].tolist()
        assert row == [token for token in expected if token != 1]


def test_buckets_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(UsageError, match="buckets is 6"):
        T5Config(vocabulary=9, width=8, layers=1, heads=1, head_width=8, hidden=8, buckets=6)
    with pytest.raises(UsageError, match="farthest is 16"):
        T5Config(vocabulary=9, width=8, layers=1, heads=1, head_width=8, hidden=8, buckets=32, farthest=16)
