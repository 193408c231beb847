"""Batches: whose token is where, what counts, and the same for any number of ranks and readers."""

import numpy as np
import pytest
from making import document, mixed_corpus, small_corpus
from numpy.typing import NDArray

from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.order import Order
from libertas.tokenize.pack import Asked, Excerpt, batches, documents_of, read_batch
from libertas.tokenize.store import TokenStore, tokenize

EVERYTHING = Asked(masks=True, components=True, rearrange=lambda excerpt: reversed_excerpt(excerpt))


def reversed_excerpt(excerpt: Excerpt) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """An objective that is easily undone: the excerpt backwards, each token counting by its epoch and place."""
    weights = np.full(len(excerpt.tokens), 1 + excerpt.epoch + excerpt.position, dtype=np.float32)
    return excerpt.tokens[::-1], weights


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder = tmp_path_factory.mktemp("pack")
    return tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """Documents of one to twelve letters, so that many meet in a row."""
    folder = tmp_path_factory.mktemp("short")
    documents = [document(n, ("web", "code")[n % 3 == 0], "abcdefghijkl"[: 1 + n % 12] * 2) for n in range(200)]
    corpus = mixed_corpus(folder / "mix", documents, [])
    return tokenize(TokenizeConfig(corpus=corpus, out=folder / "tokens", vocabulary=257))


def test_documents_are_those_that_hold_each_position(store: TokenStore, short: TokenStore) -> None:
    for some in (store, short):
        starts = np.array([0, 5, 70, len(some) - 33, len(some) // 2])
        found = documents_of(some, starts, 33)
        for row, start in zip(found.tolist(), starts.tolist(), strict=True):
            assert row == [some.document_at(position) for position in range(start, start + 33)]


def test_components_are_those_of_the_targets(short: TokenStore) -> None:
    order = Order(tokens=len(short), length=24, batch=4, seed=0)
    batch = read_batch(short, order, 2, asked=Asked(components=True))
    assert batch.weights is None
    assert batch.documents is None
    assert batch.components is not None
    assert short.component_names == ["code", "web"]
    for row, number in zip(batch.components.tolist(), order.batch_of(2).astype(int).tolist(), strict=True):
        targets = range(number * 24 + 1, number * 24 + 25)
        assert row == [0 if short.document_at(p) % 3 == 0 else 1 for p in targets]


def test_with_masks_only_the_first_token_of_a_document_does_not_count(short: TokenStore) -> None:
    order = Order(tokens=len(short), length=24, batch=4, seed=0)
    batch = read_batch(short, order, 1, asked=Asked(masks=True))
    assert batch.weights is not None
    assert batch.documents is not None
    firsts = set(short.offsets.astype(int).tolist())
    for row, number in zip(batch.weights.tolist(), order.batch_of(1).astype(int).tolist(), strict=True):
        assert row == [0.0 if number * 24 + place in firsts else 1.0 for place in range(1, 25)]


def test_an_objective_rearranges_each_document_in_its_place(short: TokenStore) -> None:
    order = Order(tokens=len(short), length=24, batch=4, seed=3)
    step = order.sequences // 4 + 1  # holds the end of one epoch and the beginning of the next
    assert len(set(order.epochs_of(step).tolist())) == 2
    plain = read_batch(short, order, step)
    made = read_batch(short, order, step, asked=EVERYTHING)
    assert made.weights is not None
    assert made.documents is not None
    rows = zip(plain.tokens, made.tokens, made.documents, made.weights, order.batch_of(step), strict=True)
    for place, (before, after, documents, weights, number) in enumerate(rows):
        for owner in np.unique(documents):
            mine = documents == owner
            np.testing.assert_array_equal(after[mine], before[mine][::-1])
        at = 1 + int(np.flatnonzero(documents[1:] == documents[:-1])[0])  # the first target that counts
        begin = int(np.flatnonzero(documents == documents[at])[0])
        assert weights[at - 1] == 1 + order.epochs_of(step)[place] + int(number) * 24 + begin


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_ranks_together_read_what_one_rank_reads_over_several_epochs(short: TokenStore, ranks: int) -> None:
    order = Order(tokens=len(short), length=24, batch=8, seed=1)
    last = 3 * order.sequences // 8
    whole = dict(batches(short, order, 1, last, asked=EVERYTHING))
    for rank in range(ranks):
        for step, part in batches(short, order, 1, last, workers=2, rank=rank, ranks=ranks, asked=EVERYTHING):
            for name in ("tokens", "weights", "documents", "components"):
                np.testing.assert_array_equal(getattr(part, name), getattr(whole[step], name)[rank::ranks])


def test_nothing_beside_tokens_is_made_unless_asked_for(store: TokenStore) -> None:
    batch = read_batch(store, Order(tokens=len(store), length=16, batch=4, seed=0), 1)
    assert (batch.weights, batch.documents, batch.components) == (None, None, None)
