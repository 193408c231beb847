"""The order of training: a permutation, seekable, invertible, and the same for any number of readers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import small_corpus

from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.order import Order, Visit, permute, unpermute
from libertas.tokenize.pack import batches, read_batch
from libertas.tokenize.store import TokenStore, tokenize

sizes = st.integers(1, 3000)
keys = st.tuples(st.integers(0, 2**40), st.integers(0, 50))


@given(size=sizes, key=keys)
def test_every_number_comes_exactly_once_in_an_epoch(size: int, key: tuple[int, int]) -> None:
    image = permute(np.arange(size, dtype=np.uint64), size, *key)
    assert sorted(image.tolist()) == list(range(size))


@given(size=st.integers(1, 2**33), numbers=st.lists(st.integers(0, 2**33), min_size=1, max_size=50), key=keys)
def test_the_permutation_can_be_inverted(size: int, numbers: list[int], key: tuple[int, int]) -> None:
    original = np.array([n % size for n in numbers], dtype=np.uint64)
    np.testing.assert_array_equal(unpermute(permute(original, size, *key), size, *key), original)


def test_neighbours_are_torn_apart_and_epochs_differ() -> None:
    size = 4096
    first, second = (permute(np.arange(size, dtype=np.uint64), size, 0, epoch).astype(int) for epoch in (0, 1))
    # for a uniform permutation adjacent images are 1 apart with probability 2/size and fixed points number about one
    assert np.sum(np.abs(np.diff(first)) == 1) < 12
    assert np.sum(first == second) < 8
    assert abs(np.corrcoef(np.arange(size), first)[0, 1]) < 0.06


@settings(max_examples=30)
@given(tokens=st.integers(20, 400), length=st.integers(1, 9), batch=st.integers(1, 7), seed=st.integers(0, 9))
def test_steps_reading_agrees_with_reading_every_step(tokens: int, length: int, batch: int, seed: int) -> None:
    order, steps = Order(tokens=tokens, length=length, batch=batch, seed=seed), 25
    targets: dict[int, list[int]] = {}
    for step in range(1, steps + 1):
        for number in order.batch_of(step).astype(int):
            for position in range(number * length + 1, (number + 1) * length + 1):
                targets.setdefault(position, []).append(step)
    for position in range(tokens):
        assert order.steps_reading(position, steps) == targets.get(position, [])


@pytest.mark.parametrize("batch", [1, 7, 512, 1000, 3000])
def test_batches_are_the_samples_in_a_row_wherever_one_begins(batch: int) -> None:
    order = Order(tokens=50_000, length=16, batch=batch, seed=5)
    samples = order.sequences_of(np.arange(4 * batch + 2000, dtype=np.uint64))
    for step in (4, 1, 2 + 2000 // batch, 3):
        np.testing.assert_array_equal(order.batch_of(step), samples[(step - 1) * batch : step * batch])
        assert order.sequence((step - 1) * batch) == order.batch_of(step)[0]


@settings(max_examples=40)
@given(tokens=st.integers(20, 200), length=st.integers(1, 9), batch=st.integers(1, 7), seed=st.integers(0, 9))
def test_readings_say_the_step_the_row_and_the_epoch(tokens: int, length: int, batch: int, seed: int) -> None:
    order, steps = Order(tokens=tokens, length=length, batch=batch, seed=seed), 12
    read: dict[int, list[Visit]] = {}
    for step in range(1, steps + 1):
        for row, (number, epoch) in enumerate(zip(order.batch_of(step), order.epochs_of(step), strict=True)):
            read.setdefault(int(number), []).append(Visit(step, row, int(epoch)))
    everything = np.arange(order.sequences, dtype=np.uint64)
    assert order.times_read(everything, steps).tolist() == [len(read.get(n, [])) for n in range(order.sequences)]
    for number in range(order.sequences):
        assert list(order.readings(number, steps)) == read.get(number, [])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder = tmp_path_factory.mktemp("order")
    return tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_reads_the_identical_token_sequence(store: TokenStore, workers: int) -> None:
    order = Order(tokens=len(store), length=16, batch=8, seed=1)
    alone = [(s, b.tokens.tolist()) for s, b in batches(store, order, 3, 90)]
    assert [s for s, _ in alone] == list(range(3, 91))
    assert [(s, b.tokens.tolist()) for s, b in batches(store, order, 3, 90, workers)] == alone


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_ranks_together_read_what_one_rank_reads(store: TokenStore, ranks: int) -> None:
    order = Order(tokens=len(store), length=16, batch=8, seed=1)
    whole = read_batch(store, order, 7).tokens
    parts = np.empty_like(whole)
    for rank in range(ranks):
        parts[rank::ranks] = read_batch(store, order, 7, rank, ranks).tokens
    np.testing.assert_array_equal(parts, whole)


def test_a_batch_is_the_tokens_of_its_sequences_with_one_more_as_target(store: TokenStore) -> None:
    order = Order(tokens=len(store), length=16, batch=4, seed=2)
    rows = read_batch(store, order, 5).tokens
    for row, number in zip(rows, order.batch_of(5).astype(int), strict=True):
        np.testing.assert_array_equal(row, store.tokens[number * 16 : number * 16 + 17])
