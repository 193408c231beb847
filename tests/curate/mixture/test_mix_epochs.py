"""How much of each component there is, and where it stands in the stream."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import document, text
from tokenizers import Tokenizer, models, pre_tokenizers

from libertas.corpus import Corpus
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.epochs import Size, apportioned, doses, nearest_count
from libertas.curate.mixture.mix import mix
from libertas.curate.mixture.stream import COPY, interleave
from libertas.document import Document
from libertas.errors import UsageError

WEB, CODE = 40, 20
DOCUMENTS = [document(n, "web", text(n, 20 + n)) for n in range(WEB)]
DOCUMENTS += [document(1000 + n, "code", text(n, 90)) for n in range(CODE)]
SIZES = {d.id: len(d.text.encode()) for d in DOCUMENTS}
ALL = sum(SIZES.values())


def of_component(name: str) -> int:
    return sum(SIZES[d.id] for d in DOCUMENTS if d.meta["component"] == name)


def trained(make_corpus, folder: Path, documents: list[Document] = DOCUMENTS, **settings: Any) -> Corpus:
    corpus = make_corpus(documents, folder / "all")
    mix(MixConfig(corpora=(corpus,), out=folder / "mix", **{"validation": 0.0, "workers": 1, **settings}))
    return Corpus.open(folder / "mix", "train")


def bytes_of(train: Corpus, key: str = "component") -> Counter[str]:
    found: Counter[str] = Counter()
    for d in train:
        found[d.meta[key]] += len(d.text.encode())
    return found


def test_a_weight_is_the_number_of_passes_and_the_rest_is_exact_to_one_document(make_corpus, tmp_path) -> None:
    train = trained(make_corpus, tmp_path, weights={"web": 2.5, "code": 0.4})
    seen = Counter(train.ids())
    web = [seen[d.id] for d in DOCUMENTS[:WEB]]
    assert set(web) == {2, 3}
    taken, counts = bytes_of(train), train.manifest.counts
    for name, weight in (("web", 2.5), ("code", 0.4)):
        assert abs(taken[name] - weight * of_component(name)) <= max(SIZES.values()) / 2
        assert counts["components"][name]["bytes"] == taken[name]
        assert counts["components"][name]["weight"] == weight
        assert counts["components"][name]["raw_bytes"] == of_component(name)
    dropped = pq.read_table(train.path / "drops.parquet").to_pylist()
    assert {row["reason"] for row in dropped} == {"beyond the weight of its component"}
    assert len(dropped) == CODE - sum(d.id in seen for d in DOCUMENTS[WEB:])
    assert counts["copies"] == len(train) - len(seen)


def test_half_a_pass_is_not_the_first_half_and_comes_after_the_whole(make_corpus, tmp_path) -> None:
    documents = [document(n, content=text(n, 40)) for n in range(200)]
    number = {d.id: n for n, d in enumerate(documents)}
    stream = [number[i] for i in trained(make_corpus, tmp_path, documents, weights={"web": 2.5}).ids()]
    first, second, rest = stream[:200], stream[200:400], stream[400:]
    assert sorted(first) == sorted(second) == list(range(200))
    assert first != second
    assert first != list(range(200))
    for half in (rest, first[:100], second[:100]):
        assert 30 < sum(n < 100 for n in half) < 70  # hypergeometric: 50 ± 3.5
    assert len(rest) == len(set(rest)) == pytest.approx(100, abs=1)
    assert 30 < len(set(rest) & set(second[:100])) < 70


def test_every_prefix_holds_each_component_in_proportion(make_corpus, tmp_path) -> None:
    documents = list(trained(make_corpus, tmp_path, weights={"code": 3}))
    sizes = [len(d.text.encode()) + 1 for d in documents]
    is_code = [d.meta["component"] == "code" for d in documents]
    share = sum(s for s, c in zip(sizes, is_code, strict=True) if c) / sum(sizes)
    for end in range(len(documents)):
        code = sum(s for s, c in zip(sizes[:end], is_code, strict=False) if c)
        assert abs(code - share * sum(sizes[:end])) <= max(sizes)


@given(st.lists(st.lists(st.integers(0, 50), max_size=12), min_size=1, max_size=4))
def test_any_prefix_of_any_streams_is_within_a_document_of_each(parts) -> None:
    sizes = np.array([s for part in parts for s in part], dtype=np.int64)
    ends = np.cumsum([0, *map(len, parts)])
    streams = [np.arange(ends[k], ends[k + 1], dtype=np.uint64) for k in range(len(parts))]
    stream = interleave(streams, sizes)
    owner = np.repeat(np.arange(len(parts)), np.diff(ends))[stream]
    weight = sizes[stream] + 1
    totals = np.bincount(owner, weight, minlength=len(parts))
    for end in range(len(stream)):
        here = np.bincount(owner[:end], weight[:end], minlength=len(parts))
        largest = [max([s + 1 for s in part], default=0) for part in parts]
        fractions = [h / t for h, t in zip(here, totals, strict=True) if t]
        slack = [m / t for m, t in zip(largest, totals, strict=True) if t]
        for a, x in enumerate(fractions):
            for b, y in enumerate(fractions):
                assert abs(x - y) <= (slack[a] + slack[b]) / 2 + 1e-12
    for k in range(len(parts)):  # each stream keeps its order
        assert (np.diff(stream[owner == k].astype(np.int64)) > 0).all()


@given(st.integers(0, 10**15), st.lists(st.floats(0.01, 1), min_size=1, max_size=9))
def test_shares_become_whole_numbers_with_the_exact_sum_and_each_within_one(total, wanted) -> None:
    shares = {str(k): w / sum(wanted) for k, w in enumerate(wanted)}
    whole = apportioned(total, shares)
    assert sum(whole.values()) == total
    assert all(abs(whole[n] - shares[n] * total) < 1 + total * 1e-14 for n in shares)


def test_largest_remainders_take_what_is_left() -> None:
    assert apportioned(10, {"a": 0.26, "b": 0.26, "c": 0.48}) == {"a": 3, "b": 2, "c": 5}


@given(st.lists(st.integers(1, 9), max_size=8), st.floats(-5, 80, allow_subnormal=False))
def test_the_nearest_count_is_the_nearest(sizes, wanted) -> None:
    sums = np.cumsum(sizes, dtype=np.int64)
    distances = [abs(float(s) - wanted) for s in (0, *sums)]
    assert nearest_count(sums, wanted) == int(np.argmin(distances))


def test_shares_are_of_bytes_and_a_budget_is_exact_to_a_document(make_corpus, tmp_path) -> None:
    budget = 3 * ALL // 2
    train = trained(make_corpus, tmp_path, shares={"code": 0.3}, budget_bytes=budget)
    taken = bytes_of(train)
    largest = max(SIZES.values())
    assert abs(taken.total() - budget) <= largest
    assert abs(taken["code"] - 0.3 * budget) <= largest
    assert train.manifest.counts["train_bytes"] == taken.total()
    assert train.manifest.counts["components"]["code"]["share"] == round(taken["code"] / taken.total(), 6)


def test_weights_are_relative_to_each_other_when_there_is_a_budget(make_corpus, tmp_path) -> None:
    budget = ALL // 2
    taken = bytes_of(trained(make_corpus, tmp_path, weights={"code": 2.0}, budget_bytes=budget))
    doubled = 2 * of_component("code") / (2 * of_component("code") + of_component("web"))
    assert abs(taken["code"] - doubled * budget) <= max(SIZES.values())
    assert abs(taken.total() - budget) <= max(SIZES.values())


def test_tokens_are_counted_as_the_token_store_does(make_corpus, tmp_path) -> None:
    words = {w: n for n, w in enumerate(sorted({w for d in DOCUMENTS for w in d.text.replace(".", " .").split()}))}
    tokenizer = Tokenizer(models.WordLevel(words | {"?": len(words)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    def tokens(d: Document) -> int:
        return len(tokenizer.encode(d.text).ids) + 1

    budget = sum(map(tokens, DOCUMENTS)) * 2 // 3
    settings = {"shares": {"code": 0.5}, "budget_tokens": budget}
    train = trained(make_corpus, tmp_path, tokenizer=tmp_path / "tokenizer.json", **settings)
    assert abs(sum(map(tokens, train)) - budget) <= max(map(tokens, DOCUMENTS))
    taken = bytes_of(train)
    assert abs(taken["code"] / taken.total() - 0.5) < 0.02  # shares stay shares of bytes
    estimated = trained(make_corpus, tmp_path / "b", bytes_per_token=4.0, **settings)
    assert abs(bytes_of(estimated).total() - 4 * budget) <= max(SIZES.values())


def test_languages_can_have_shares_instead_of_components(make_corpus, tmp_path) -> None:
    documents = [
        Document(d.id, d.text, {"component": "web", "language": "de" if n % 4 == 0 else "en"})
        for n, d in enumerate(DOCUMENTS)
    ]
    train = trained(make_corpus, tmp_path, documents, language_shares={"de": 0.5}, caps={"de": 1.5})
    german = sum(SIZES[d.id] for d in documents if d.meta["language"] == "de")
    taken = bytes_of(train, "language")
    assert abs(taken["de"] - 1.5 * german) <= max(SIZES.values())  # the cap is below half of all
    assert abs(taken.total() - ALL) <= max(SIZES.values())
    flat = trained(make_corpus, tmp_path / "b", documents, language_temperature=1e9)
    assert abs(bytes_of(flat, "language")["de"] - ALL / 2) <= max(SIZES.values())


SIZES_ABC = {"a": Size(10, 1000, 1000), "b": Size(10, 3000, 3000), "c": Size(10, 6000, 6000)}


def weights(**settings: Any) -> dict[str, float]:
    config = MixConfig(corpora=(Path("x"),), out=Path("y"), **settings)
    return {name: round(dose.weight, 9) for name, dose in doses(config, SIZES_ABC).items()}


def test_temperature_takes_the_root_of_sizes() -> None:
    roots = {"a": 1000**0.5, "b": 3000**0.5, "c": 6000**0.5}
    for name, epochs in weights(temperature=2.0, budget_bytes=10**9).items():
        size = SIZES_ABC[name].bytes
        assert epochs == pytest.approx(1e9 * roots[name] / sum(roots.values()) / size, rel=1e-6)
    assert weights(temperature=1.0) == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_a_temperature_near_zero_leaves_only_what_is_largest() -> None:
    for temperature in (0.01, 1e-300):
        assert weights(temperature=temperature, budget_bytes=6000) == {"a": 0.0, "b": 0.0, "c": 1.0}


def test_what_a_cap_leaves_goes_to_the_others_in_proportion() -> None:
    assert weights(shares={"a": 0.5, "b": 0.3, "c": 0.2}, caps={"a": 2.0}) == {
        "a": 2.0,
        "b": round(8000 * 0.6 / 3000, 9),
        "c": round(8000 * 0.4 / 6000, 9),
    }
    # the second cap bites only because of what the first left
    capped = weights(shares={"a": 0.5, "b": 0.3, "c": 0.2}, caps={"a": 2.0, "b": 1.5})
    assert capped == {"a": 2.0, "b": 1.5, "c": round(3500 / 6000, 9)}


def test_shares_that_are_not_named_divide_the_rest_by_size() -> None:
    assert weights(shares={"a": 0.1}) == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert weights(shares={"a": 0.4}) == {"a": 4.0, "b": round(2 / 3, 9), "c": round(2 / 3, 9)}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"seed": 2**63}, "seed is 9223372036854775808; expected a whole number from"),
        ({"weights": {"web": 1e300}}, "weights: web has 1e[+]300; expected a number of passes from 0 to 1,000,000"),
        ({"weights": {"web": -1}}, "weights: web has -1; expected a number of passes"),
        ({"weights": {"web": float("nan")}}, "weights: web has nan; expected a number of passes"),
        ({"validation": float("nan")}, "validation is nan; expected a share"),
        ({"validation": 1.0}, "validation is 1.0; expected a share"),
        ({"test": -0.1}, "test is -0.1; expected a share"),
        ({"shares": {"web": 1.2}}, "shares: web has 1.2; expected a share from 0 to 1"),
        ({"shares": {"web": 0.7, "code": 0.4}}, "shares sum to 1.1; expected at most 1"),
        ({"weights": {"web": 2}, "shares": {"web": 0.7}}, "weights and shares contradict each other"),
        ({"temperature": 2.0, "language_temperature": 2.0}, "temperature and language_temperature contradict"),
        ({"temperature": 0.0}, "temperature is 0.0; expected a number above 0"),
        ({"budget_bytes": 9, "budget_tokens": 9, "bytes_per_token": 3}, "budget_bytes and budget_tokens contradict"),
        ({"budget_tokens": 9}, "budget_tokens is set without `tokenizer` or `bytes_per_token`; expected both"),
        ({"bytes_per_token": 4.0}, "bytes_per_token is set without `budget_tokens`; expected both"),
        ({"caps": {"web": 2}}, "caps is set without shares, a temperature or a budget"),
        ({"duplicates": "some"}, "duplicates is 'some'; expected across, within, keep"),
        ({"similarity": 0.0}, "similarity is 0.0; expected more than 0"),
        ({"workers": 0}, "workers is 0; expected 1 or more"),
        ({"corpora": ()}, "corpora is empty; expected at least one corpus to mix"),
        ({"corpora": (Path("a"), Path("a"))}, "corpora names a twice; expected each once"),
    ],
)
def test_settings_that_contradict_or_mix_nothing_are_refused(tmp_path: Path, settings, problem: str) -> None:
    with pytest.raises(UsageError, match=f"^{problem}"):
        MixConfig(**{"corpora": (tmp_path,), "out": tmp_path / "mix", **settings})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"shares": {"a": 0.1, "b": 0.2, "c": 0.3}},
            r"shares sum to 0.6 and name all .*\(a, b, c\); expected a sum of 1",
        ),
        ({"budget_bytes": 10**6, "caps": {"a": 1, "b": 1, "c": 1}}, "caps leave 10,000 of a budget of 1,000,000"),
        (
            {"shares": {"a": 0.5, "b": 0.5}, "caps": {"a": 1, "b": 1}},
            "caps leave 60.0% of the budget to components of s",
        ),
        ({"budget_bytes": 10**18}, "the budget asks for 1.* passes over a component of"),
    ],
)
def test_targets_that_cannot_be_met_are_refused(settings, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        weights(**settings)


def test_weights_that_sum_to_nothing_are_refused(make_corpus, tmp_path) -> None:
    with pytest.raises(UsageError, match="no component to train on"):
        trained(make_corpus, tmp_path / "a", shares={"web": 0.0, "code": 0.0})
    with pytest.raises(UsageError, match="shares sum to 0 and name all there is to train on"):
        weights(shares={"a": 0.0, "b": 0.0, "c": 0.0})
    empty = [document(n, content="") for n in range(3)]
    with pytest.raises(UsageError, match="sum to nothing"):
        trained(make_corpus, tmp_path / "b", empty, temperature=2.0)
    assert len(trained(make_corpus, tmp_path / "c", empty, weights={"web": 2.0})) == 6


def test_a_stream_that_memory_cannot_hold_is_refused_but_planned(make_corpus, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("libertas.curate.mixture.stream.MOST_POSITIONS", 500)
    settings = {"corpora": (make_corpus(DOCUMENTS, tmp_path / "all"),), "weights": {"web": 12.5}, "validation": 0.0}
    mix(MixConfig(out=tmp_path / "mix", plan=True, **settings))
    assert " 12.5 " in capsys.readouterr().out
    with pytest.raises(
        UsageError, match=r"has 5.. documents with repeats, 56 bytes of memory each; expected at most 500"
    ):
        mix(MixConfig(out=tmp_path / "mix", **settings))
    monkeypatch.setattr("libertas.curate.mixture.stream.interleave", pytest.fail)
    mix(MixConfig(out=tmp_path / "plan", plan=True, **settings | {"weights": {"web": 1e6}}))


def test_a_budget_below_the_smallest_document_is_refused(make_corpus, tmp_path) -> None:
    with pytest.raises(UsageError, match="too small for a single document"):
        trained(make_corpus, tmp_path, budget_bytes=10)


def test_the_copy_bit_marks_what_the_stream_had_before(make_corpus, tmp_path) -> None:
    train = trained(make_corpus, tmp_path, weights={"web": 3.0})
    assert int(COPY) == 2**63
    assert train.manifest.counts["copies"] == 2 * WEB
    assert train.manifest.counts["components"]["web"]["documents"] == WEB
