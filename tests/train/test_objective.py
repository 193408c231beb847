"""Objectives: each can be undone, counts what it should, and depends on nothing but the seed and the document."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import small_corpus
from tokenizers import AddedToken, Tokenizer

from libertas.errors import UsageError
from libertas.tokenize import bpe
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.order import Order
from libertas.tokenize.pack import Asked, Excerpt, batches, read_batch
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.cuts import Cutter, spelled_bytes
from libertas.train.journal import read_metrics
from libertas.train.loop import train
from libertas.train.objective import (
    DENOISERS,
    Marks,
    asked_of,
    continue_prefix,
    corrupt,
    denoise,
    draws,
    fill_in,
    marks_of,
    spans_of,
    with_holes,
)

CLOSING, PADDING = 0, 1
NAMES = ["<|padding|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", *(f"<extra_id_{n}>" for n in range(100))]
MARKS = Marks(closing=CLOSING, padding=PADDING, sentinels=tuple(range(100, 200)))

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
"""Any script, and what is none."""
prose = st.lists(
    st.sampled_from(["the list", " of", "  every\n", "\n\n", "don't", "Größe", "数据 ", "🙂", "٣٤", "\t"]), max_size=40
)
"""Words, spaces and scripts as they follow each other in documents."""
lengths = st.integers(1, 400)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    words = ["the list of every item is a string", "don't read the file, 数据 Größe", "  every\n\n item"] * 3
    learned = bpe.learn(iter(words), 290)
    learned.add_special_tokens([AddedToken(name, special=True) for name in NAMES])
    return learned


def excerpt(tokens: list[int], document: int = 7, epoch: int = 0, position: int = 1000) -> Excerpt:
    return Excerpt(np.array(tokens, dtype=np.int64), document, position, epoch)


def written(tokenizer: Tokenizer, tokens: list[int]) -> bytes:
    table = spelled_bytes(tokenizer)
    return b"".join(table[t] or b"" for t in tokens)


def filled(tokens: list[int], marks: Marks) -> tuple[list[int], list[int], list[int]]:
    """The inverse: before, middle, after; of suffix-first examples the middle holds what was before it as well."""
    pre, mid, suf = marks.fim
    assert tokens[0] == pre
    at, to = tokens.index(suf), tokens.index(mid)
    return tokens[1:at], tokens[to + 1 :], tokens[at + 1 : to]


def without_holes(holes: list[int], targets: list[int], sentinels: tuple[int, ...]) -> list[int]:
    """The inverse of `with_holes`."""
    spans: dict[int, list[int]] = {}
    for token in targets:
        if token in sentinels:
            spans[token] = []
        else:
            spans[next(reversed(spans))].append(token)
    return [t for token in holes for t in (spans[token] if token in sentinels else [token])]


@given(text=st.one_of(texts, prose.map("".join).filter(bool)), document=st.integers(0, 2**40), room=st.integers(0, 40))
def test_fill_in_the_middle_can_be_undone_for_all_scripts(
    tokenizer: Tokenizer, text: str, document: int, room: int
) -> None:
    marks, cutter = marks_of(tokenizer, CLOSING), Cutter(tokenizer)
    body = cutter.encode(text)
    given_excerpt = excerpt([*body, CLOSING], document)
    tokens, weights = fill_in(given_excerpt, cutter=cutter, marks=marks, seed=3, rate=1.0)
    assert len(tokens) == len(weights) == len(body) + 1
    if tokens.tolist() == [*body, CLOSING]:
        return
    *inner, last = tokens.tolist()[: int(weights.sum())]
    assert last == CLOSING
    before, middle, after = filled(inner, marks)
    joined = written(tokenizer, before) + written(tokenizer, middle)
    assert text.encode().startswith(joined)
    assert text.encode()[len(joined) :].startswith(written(tokenizer, after))  # the suffix gave way to the marks
    assert len(written(tokenizer, after)) + len(joined) == len(text.encode()) or not (weights == 0).any()


@given(text=st.one_of(texts, prose.map("".join).filter(bool)), low=st.integers(0, 10**6), high=st.integers(0, 10**6))
def test_cut_parts_make_up_the_text_and_have_the_tokens_they_have_alone(
    tokenizer: Tokenizer, text: str, low: int, high: int
) -> None:
    cutter = Cutter(tokenizer)
    found = cutter.text(np.array(cutter.encode(text), dtype=np.int64))
    assert found is not None
    assert found.characters == len(text)
    low, high = sorted((low % (len(text) + 1), high % (len(text) + 1)))
    parts = found.cut(low, high)
    expected = [text[:low], text[low:high], text[high:]]
    assert [p.tolist() for p in parts] == [cutter.encode(part) for part in expected]


@given(text=texts, begin=st.integers(0, 50), end=st.integers(0, 50), place=st.integers(0, 10**6))
def test_a_excerpt_that_begins_or_ends_inside_a_character_loses_no_byte(
    tokenizer: Tokenizer, text: str, begin: int, end: int, place: int
) -> None:
    cutter = Cutter(tokenizer)
    tokens = cutter.encode(text)
    tokens = tokens[begin % len(tokens) :]
    tokens = tokens[: 1 + end % len(tokens)]
    found = cutter.text(np.array(tokens, dtype=np.int64))
    if found is None:  # nothing in it is a whole character
        assert written(tokenizer, tokens).decode(errors="ignore") == "" or len(tokens) < 4
        return
    before, after = found.cut(place % (found.characters + 1))
    assert written(tokenizer, [*before.tolist(), *after.tolist()]) == written(tokenizer, tokens)


def test_both_orders_of_fill_in_the_middle_are_as_published(tokenizer: Tokenizer) -> None:
    marks, cutter = marks_of(tokenizer, CLOSING), Cutter(tokenizer)
    pre, mid, suf = marks.fim
    assert [tokenizer.id_to_token(t) for t in marks.fim] == ["<fim_prefix>", "<fim_middle>", "<fim_suffix>"]
    body = cutter.encode("the list of every item is a string " * 8)
    seen = set()
    for document in range(40):
        tokens, weights = fill_in(excerpt([*body, CLOSING], document), cutter=cutter, marks=marks, seed=0, rate=1.0)
        assert weights.min() == 1.0 or (tokens[weights == 0] == marks.padding).all()
        row = tokens.tolist()
        if row[0] == pre:
            seen.add("suffix first" if row[1] == suf else "prefix first")
            assert row.index(suf) < row.index(mid)
    assert seen == {"suffix first", "prefix first"}


def test_the_rate_is_the_share_of_documents_and_holds_for_all_excerpts_of_one(tokenizer: Tokenizer) -> None:
    marks, cutter = marks_of(tokenizer, CLOSING), Cutter(tokenizer)
    body = cutter.encode("every item is a string " * 10)

    def changed(document: int, position: int) -> bool:
        made = fill_in(excerpt(body, document, 0, position), cutter=cutter, marks=marks, seed=1, rate=0.3)[0]
        return bool(made.tolist() != body)

    share = np.mean([changed(d, 0) or changed(d, 500) for d in range(400)])
    assert share == pytest.approx(0.3, abs=3 * (0.3 * 0.7 / 400) ** 0.5)
    assert not any(changed(d, p) for d in range(400) for p in (0, 500) if not (changed(d, 900) or changed(d, 1300)))


def test_the_example_of_the_t5_paper() -> None:
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"]
    hidden = np.array([w in ("for", "inviting", "last") for w in words])
    holes, targets = with_holes(np.arange(10), hidden, [100, 101, 102, 103])
    assert holes.tolist() == [0, 1, 100, 4, 5, 6, 7, 101, 9]
    assert targets.tolist() == [100, 2, 3, 101, 8, 102]


def test_span_corruption_hides_what_t5_hides() -> None:
    assert spans_of(512, 0.15, 3) == (77, 26)  # 76.8 tokens, 25.7 spans
    assert spans_of(2, 0.15, 3) == (1, 1)
    assert spans_of(10, 0.5, 3) == (5, 2)


@given(length=lengths, document=st.integers(0, 2**40), closes=st.booleans(), count=st.integers(16, 100))
def test_span_corruption_can_be_undone_and_only_targets_count(
    length: int, document: int, closes: bool, count: int
) -> None:
    marks = Marks(closing=CLOSING, padding=PADDING, sentinels=MARKS.sentinels[:count])
    body = list(range(1000, 1000 + length))
    tokens, weights = corrupt(excerpt(body + [CLOSING] * closes, document), marks=marks, seed=5)
    assert len(tokens) == length + closes
    if tokens[0] == 1000 and weights[0] == 1:
        assert tokens.tolist() == body + [CLOSING] * closes  # too short for holes
        return
    read: list[int] = []
    row, counted = tokens.tolist(), weights.tolist()
    while row and row[0] not in (CLOSING, PADDING):
        ask = counted.index(1)
        answer = next((n for n in range(ask, len(row)) if counted[n] == 0 or row[n] == CLOSING), len(row))
        read += without_holes(row[:ask], row[ask:answer], marks.sentinels)
        row, counted = row[answer:], counted[answer:]
    assert row[:1] == [CLOSING] * closes or not closes
    assert set(row[closes:]) <= {PADDING}
    assert read == body[: len(read)]
    assert len(read) >= 0.8 * length - 8


def test_at_the_usual_rate_nine_percent_of_a_row_is_not_read() -> None:
    tokens, weights = corrupt(excerpt(list(range(1000, 2024))), marks=MARKS, seed=0)
    hidden = {t for t, w in zip(tokens.tolist(), weights.tolist(), strict=True) if w and t >= 1000}
    shown = {t for t, w in zip(tokens.tolist(), weights.tolist(), strict=True) if not w and t >= 1000}
    assert len(hidden) + len(shown) == pytest.approx(1024 / 1.1, abs=3)
    assert len(hidden) / (len(hidden) + len(shown)) == pytest.approx(0.15, abs=0.001)


@given(length=st.integers(2, 300), document=st.integers(0, 2**40))
def test_a_prefix_changes_no_token_and_counts_only_what_follows_it(length: int, document: int) -> None:
    body = [*range(1000, 1000 + length), CLOSING]
    tokens, weights = continue_prefix(excerpt(body, document), marks=MARKS, seed=0)
    assert tokens.tolist() == body
    split = int((weights == 0).sum())
    assert 1 <= split < length
    assert weights.tolist() == [0.0] * split + [1.0] * (length + 1 - split)


def test_prefixes_are_split_anywhere_as_likely() -> None:
    splits = [int((continue_prefix(excerpt([5] * 12, d), marks=MARKS, seed=0)[1] == 0).sum()) for d in range(2200)]
    counts = np.bincount(splits, minlength=12)[1:]
    assert len(counts) == 11
    assert (np.abs(counts - 200) < 4 * (200 * 10 / 11) ** 0.5).all()


def test_ul2_mixes_seven_denoisers_and_says_which_mode() -> None:
    marks = Marks(closing=CLOSING, padding=PADDING, sentinels=MARKS.sentinels, modes=(201, 202, 203))
    body = list(range(1000, 1512))
    seen: dict[int, list[float]] = {201: [], 202: [], 203: []}
    for document in range(700):
        tokens, weights = denoise(excerpt(body, document), marks=marks, seed=0)
        text, hidden = tokens >= 1000, weights == 1
        seen[int(tokens[0])].append(round(float((text & hidden).sum() / text.sum()), 2))
        assert weights[0] == 0
    total = [len(seen[mode]) / 700 for mode in (201, 202, 203)]
    assert total == pytest.approx([2 / 7, 1 / 7, 4 / 7], abs=0.06)
    assert set(seen[201]) == {0.15}
    assert set(seen[202]) == {0.25}
    assert set(seen[203]) == {0.15, 0.5}
    assert DENOISERS == 7


def test_chance_depends_on_the_seed_the_document_the_epoch_and_the_place_only() -> None:
    def made(seed: int = 0, document: int = 1, epoch: int = 0, position: int = 50) -> list[int]:
        return corrupt(excerpt(list(range(1000, 1100)), document, epoch, position), marks=MARKS, seed=seed)[0].tolist()

    assert made() == made()
    others = [made(seed=1), made(document=2), made(epoch=1), made(position=51)]
    assert all(other != made() for other in others)


def test_draws_are_uniform() -> None:
    numbers = draws(0, excerpt([1]), "test", 20_000) / 2**64
    assert abs(numbers.mean() - 0.5) < 0.01
    assert abs((numbers < 0.1).mean() - 0.1) < 0.01


def test_only_added_tokens_are_special(tokenizer: Tokenizer) -> None:
    plain = bpe.learn(iter(["[R] [S] [X] <fim_prefix>"] * 9), 262)
    assert marks_of(plain, 0) == Marks(closing=0, padding=0)
    marks = marks_of(tokenizer, 0)
    assert len(marks.sentinels) == 100
    assert tokenizer.id_to_token(marks.sentinels[41]) == "<extra_id_41>"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_corpus(tmp_path_factory.mktemp("objective") / "mix", 60)


def test_an_objective_without_its_tokens_is_refused_and_says_how_to_have_them(mixed: Path) -> None:
    out = mixed.parent / "plain"
    store = tokenize(TokenizeConfig(corpus=mixed, out=out, vocabulary=300))
    for objective, said in (
        ("fim", "has no <fim_prefix>, <fim_middle>, <fim_suffix>; .*`libertas tokenize --fim`"),
        ("span", "has 0 tokens such as <extra_id_0>; expected 16 or more .*`libertas tokenize --sentinels 100`"),
        ("ul2", "has 0 tokens such as <extra_id_0>"),
    ):
        with pytest.raises(UsageError, match=said):
            train(TrainConfig(tokens=out, out=mixed.parent / "run", model="tiny", steps=1, objective=objective))
    assert not (mixed.parent / "run").exists()
    assert not (mixed.parent / "run.partial").exists()
    assert asked_of(TrainConfig(tokens=out, out=out, objective="prefix"), store).rearrange is not None
    assert asked_of(TrainConfig(tokens=out, out=out), store) == Asked(components=True)


@pytest.mark.parametrize("objective", ["fim", "span", "prefix", "ul2"])
def test_batches_of_an_objective_are_the_same_for_all_ranks_and_readers_and_keep_every_document(
    mixed: Path, objective: str
) -> None:
    out = mixed.parent / "special"
    store = tokenize(TokenizeConfig(corpus=mixed, out=out, vocabulary=320, fim=True, sentinels=20, padding=True))
    order = Order(tokens=len(store), length=64, batch=8, seed=2)
    config = TrainConfig(tokens=out, out=out, objective=objective, objective_rate=1.0, document_masks=True, seed=2)
    asked = asked_of(config, store)
    last = order.sequences // 4  # two epochs
    whole = dict(batches(store, order, 1, last, asked=asked))
    for ranks in (2, 8):
        for rank in range(ranks):
            for step, part in batches(store, order, 1, last, workers=2, rank=rank, ranks=ranks, asked=asked):
                for name in ("tokens", "weights", "documents", "components"):
                    np.testing.assert_array_equal(getattr(part, name), getattr(whole[step], name)[rank::ranks])
    changed = 0
    for step, batch in whole.items():
        plain = read_batch(store, order, step, asked=Asked(masks=True))
        np.testing.assert_array_equal(batch.documents, plain.documents)
        assert ((batch.tokens == CLOSING).sum(axis=1) == (plain.tokens == CLOSING).sum(axis=1)).all()
        assert batch.weights is not None
        assert plain.weights is not None
        assert (batch.weights <= plain.weights).all()
        changed += int((batch.tokens != plain.tokens).sum()) + int((batch.weights != plain.weights).sum())
    assert changed > 100


def test_a_training_under_an_objective_has_the_same_bits_with_any_readers_and_counts_what_it_says(mixed: Path) -> None:
    out = mixed.parent / "trained"
    tokenize(TokenizeConfig(corpus=mixed, out=out, vocabulary=320, fim=True, sentinels=20))
    settings = {"tokens": out, "model": "tiny", "steps": 6, "batch": 2, "micro_batch": 2, "threads": 1}
    runs = [
        train(TrainConfig(out=mixed.parent / f"run-{workers}", workers=workers, objective="ul2", **settings))
        for workers in (0, 3)
    ]
    assert runs[0].weights_hash == runs[1].weights_hash
    rows = read_metrics(runs[0].path / "metrics.jsonl")
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert {name for row in rows for name in row["component_loss"]} == {"code", "web"}
