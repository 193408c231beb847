"""Reading each distinct beginning once: the plan, the rows, and that no score changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from libertas.evaluate import trie
from libertas.evaluate.score import Request, score
from libertas.evaluate.trie import Beginning, divided, laid_out, shared_tokens
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model

KINDS = {
    "tiny": {},
    "tiny-neox": {},
    "tiny-modern": {},
    "tiny-experts": {},
    "tiny-linear": {},
    "alibi": {"positions": "alibi"},
    "sinks": {"sinks": True},
    "narrow window": {"window": 5, "attention": ("local", "global")},
}


def tiny(kind: str) -> Model:
    changes = KINDS[kind]
    shape = replace(SIZES["tiny" if changes else kind], vocabulary=40, context=96, **changes)
    return Model(shape, seed=1).double().eval()


def tree_of_texts(seed: int, count: int = 40) -> list[tuple[int, ...]]:
    """Texts that continue one another at random places, so that beginnings of all lengths are shared."""
    generator = np.random.default_rng(seed)
    texts = [tuple(generator.integers(0, 40, 30).tolist())]
    while len(texts) < count:
        parent = texts[generator.integers(len(texts))]
        cut = int(generator.integers(0, len(parent) + 1))
        more = generator.integers(0, 40, int(generator.integers(1, 25))).tolist()
        texts.append((*parent[:cut], *more)[:90])
    return texts


def rows_of(beginning: Beginning) -> list[tuple[Beginning, trie.Row]]:
    return [(beginning, row) for row in beginning.rows] + [pair for b in beginning.longer for pair in rows_of(b)]


def test_shared_tokens_are_counted_against_the_text_before() -> None:
    assert shared_tokens([(1, 2), (1, 2, 3), (1, 3), (4,), (4, 5, 6)]).tolist() == [0, 2, 1, 0, 1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 120))
def test_every_text_stands_in_one_row_and_every_row_spells_its_texts(seed: int, row_tokens: int) -> None:
    texts = sorted(set(tree_of_texts(seed)))
    limits = [len(t) - 1 for t in texts]
    found = rows_of(divided(texts, limits, row_tokens))
    assert sorted(n for _, row in found for n in range(row.first, row.last)) == list(range(len(texts)))
    for beginning, row in found:
        laid = laid_out(texts, row, beginning.stop)
        for text, path in zip(texts[row.first : row.last], laid.paths, strict=True):
            assert text[: beginning.stop] == texts[beginning.example][: beginning.stop]
            assert tuple(laid.tokens[path].tolist()) == text[beginning.stop :]
            assert laid.depths[path].tolist() == list(range(beginning.stop, len(text)))
            for place, at in enumerate(path):
                assert np.flatnonzero(laid.seen[at]).tolist() == sorted(path[: place + 1].tolist())


def test_one_row_has_each_distinct_beginning_once() -> None:
    texts = sorted(set(tree_of_texts(3)))
    (row,) = divided(texts, [len(t) - 1 for t in texts], 10_000).rows
    assert row.tokens == len({text[:n] for text in texts for n in range(1, len(text) + 1)})


def test_five_shots_are_read_once_for_all_items_of_a_subject() -> None:
    shots = tuple(range(100, 400))
    texts = sorted(
        (*shots, *range(1000 + 50 * item, 1000 + 50 * item + 40), 7, choice)
        for item in range(20)
        for choice in range(4)
    )
    plan = divided(texts, [len(t) - 1 for t in texts], 128)
    assert [(b.start, b.stop) for b in plan.longer] == [(0, 300)]
    assert sum(row.tokens for row in plan.longer[0].rows) == 20 * (41 + 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row_tokens", [1, 30, 4000])
def test_scores_are_those_of_each_text_alone_in_double_precision(
    kind: str, row_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trie, "TRUNK_TOKENS", 3)
    model, generator = tiny(kind), np.random.default_rng(5)
    texts = [t for t in tree_of_texts(5) if len(t) > 1]
    requests = [Request(t, int(generator.integers(1, len(t)))) for t in texts]
    found = score(model, requests, "test", row_tokens)
    for request, scores in zip(requests, found, strict=True):
        tokens = torch.tensor([request.tokens])
        with torch.no_grad():
            alone = -model.loss(tokens[:, :-1], tokens[:, 1:])[0, -request.scored :]
        np.testing.assert_allclose(scores.log_probabilities, alone.numpy(), rtol=1e-9, atol=1e-9)


def test_a_beginning_is_read_in_one_pass_and_never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("tiny-neox")
    passes: list[int] = []
    hidden = model.hidden
    monkeypatch.setattr(
        model, "hidden", lambda tokens, *a, **k: passes.append(tokens.numel()) or hidden(tokens, *a, **k)
    )
    shots = tuple(range(20)) * 3
    requests = [Request((*shots, 30 + item, 25, choice), 1) for item in range(8) for choice in (1, 2)]
    score(model, requests, "test", row_tokens=4)
    assert passes == [60, 8 * 2]  # the item and the 25 after it; the two choices are only predicted
