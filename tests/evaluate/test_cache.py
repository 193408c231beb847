"""Scores that are kept: what is read again, what is computed again, and that a damaged file never lies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_result import write_corpus

from libertas.evaluate import cache as caching
from libertas.evaluate.cache import ScoreCache, keep_scores, kept_scores, request_key
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.result import evaluate
from libertas.evaluate.score import Request, Scored, score
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.loop import train

REQUESTS = [Request((1, 2, 3, token), 1) for token in range(5)] + [Request((1, 2, 3, 4), 2), Request((9, 8, 7), 2)]


def tiny() -> Model:
    return Model(replace(SIZES["tiny"], vocabulary=40, context=32), seed=1).eval()


def opened(folder: Path, model: Model, weights: str = "w", tokenizer: str = "t") -> ScoreCache:
    return ScoreCache(folder, weights=weights, tokenizer=tokenizer, model=model)


def counted(model: Model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens the model reads from now on, pass by pass."""
    passes: list[int] = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda t, *a, **k: passes.append(t.numel()) or hidden(t, *a, **k))
    return passes


def same(one: list[Scored], other: list[Scored]) -> bool:
    return [(s.log_probabilities.tobytes(), s.likeliest) for s in one] == [
        (s.log_probabilities.tobytes(), s.likeliest) for s in other
    ]


def entries(count: int) -> dict[bytes, tuple[np.ndarray, bool]]:
    generator = np.random.default_rng(count)
    return {request_key((n,), 1): (generator.normal(size=n + 1), n % 2 == 0) for n in range(count)}


def equal(one: tuple[np.ndarray, bool], other: tuple[np.ndarray, bool]) -> bool:
    return one[0].tobytes() == other[0].tobytes() and one[1] == other[1]


def test_what_was_scored_before_is_read_and_nothing_else_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    plain = score(model, REQUESTS, "test")
    keep_scores(model, opened(tmp_path, model))
    assert same(score(model, REQUESTS, "test"), plain)
    again = tiny()
    keep_scores(again, opened(tmp_path, again))
    passes = counted(again, monkeypatch)
    assert same(score(again, [*REQUESTS, REQUESTS[0]], "test"), [*plain, plain[0]])
    assert passes == []
    score(again, [*REQUESTS, Request((1, 2, 3, 4, 5), 1)], "test")
    assert passes == [4]


def test_scores_are_not_kept_unless_asked_for(tmp_path: Path) -> None:
    model = tiny()
    score(model, REQUESTS, "test")
    assert kept_scores(model) is None
    assert list(tmp_path.iterdir()) == []


def test_the_same_tokens_with_another_number_scored_are_another_request() -> None:
    assert len({request_key((1, 2, 3), n) for n in (1, 2)} | {request_key((2, 2, 3), 1), request_key((2, 3), 1)}) == 4


def test_another_weight_tokenizer_precision_number_of_threads_or_code_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    paths = [opened(tmp_path, model).path, opened(tmp_path, model, weights="v").path]
    paths += [opened(tmp_path, model, tokenizer="u").path, opened(tmp_path, tiny().double()).path]
    monkeypatch.setattr(caching, "code_digest", lambda module: "another")
    paths.append(opened(tmp_path, model).path)
    monkeypatch.undo()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    paths.append(opened(tmp_path, model).path)
    assert len(set(paths)) == len(paths)


def test_only_what_is_wanted_is_held(tmp_path: Path) -> None:
    cache, written = opened(tmp_path, tiny()), entries(20)
    cache.write(written.items())
    chosen = list(written)[3:5]
    found = cache.read([*chosen, request_key((99,), 1)])
    assert list(found) == chosen
    assert all(equal(found[key], written[key]) for key in chosen)


def test_a_torn_end_is_dropped_and_what_comes_after_it_is_read(tmp_path: Path) -> None:
    cache, written = opened(tmp_path, tiny()), entries(6)
    items = list(written.items())
    cache.write(items[:4])
    cache.path.write_bytes(cache.path.read_bytes()[:-5])
    assert list(cache.read(list(written))) == [key for key, _ in items[:3]]
    cache.write(items[4:])
    assert list(cache.read(list(written))) == [key for key, _ in [*items[:3], *items[4:]]]


def test_a_spoilt_entry_is_noticed_and_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny()
    keep_scores(model, cache := opened(tmp_path, model))
    plain = score(model, REQUESTS, "test")
    data = bytearray(cache.path.read_bytes())
    data[caching.HEAD.size] ^= 1  # the first log-probability
    cache.path.write_bytes(data)
    passes = counted(model, monkeypatch)
    mended = score(model, REQUESTS, "test")
    assert passes == [3]
    assert "1 damaged or torn places" in capsys.readouterr().err.replace("\n", " ")
    assert same(mended[1:], plain[1:])
    assert mended[0].total == pytest.approx(plain[0].total, abs=1e-5)  # float32, in another batch
    assert same(score(model, REQUESTS, "test"), mended)
    assert passes == [3]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_makes_an_entry_that_was_not_written(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    cache, written = opened(tmp_path_factory.mktemp("cache"), tiny()), entries(8)
    cache.write(written.items())
    whole = cache.path.read_bytes()
    at, stop = sorted((data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))))
    junk = data.draw(st.sampled_from([b"", b"\0", caching.MARK, whole[:30], b"\xff" * 60]))
    cache.path.write_bytes(whole[:at] + junk + whole[stop:])
    found = cache.read(list(written))
    assert all(equal(found[key], written[key]) for key in found)
    start = 0
    for key, (values, _) in written.items():
        end = start + caching.HEAD.size + 8 * len(values) + caching.CHECK_BYTES
        if end <= at:
            assert key in found
        start = end


def test_two_writers_in_turns_spoil_nothing(tmp_path: Path) -> None:
    model, written = tiny(), entries(30)
    caches = [opened(tmp_path, model), opened(tmp_path, model)]
    for number, item in enumerate(written.items()):
        caches[number % 2].write([item])
    found = caches[0].read(list(written))
    assert list(found) == list(written)


def test_entries_go_over_the_edges_of_what_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "READ_BYTES", 7)
    monkeypatch.setattr(caching, "MOST_SCORED", 40)
    cache, written = opened(tmp_path, tiny()), entries(30)
    cache.write(written.items())
    assert list(cache.read(list(written))) == list(written)


@pytest.mark.slow
def test_an_evaluation_that_is_kept_has_the_bytes_of_one_that_is_not_and_serves_other_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "mix")
    tokenize(TokenizeConfig(corpus=tmp_path / "mix", out=tmp_path / "tokens", vocabulary=320))
    train(TrainConfig(tokens=tmp_path / "tokens", out=tmp_path / "run", model="tiny", steps=2, batch=2, micro_batch=2))
    settings = {"run": tmp_path / "run", "corpus": tmp_path / "mix", "items": 6, "threads": 1}
    evaluate(EvaluateConfig(**settings, out=tmp_path / "plain"))
    evaluate(EvaluateConfig(**settings, out=tmp_path / "kept", cache=tmp_path / "cache"))
    with monkeypatch.context() as forbidden:
        forbidden.setattr(Model, "hidden", None)
        evaluate(EvaluateConfig(**settings, out=tmp_path / "again", cache=tmp_path / "cache"))
        evaluate(
            EvaluateConfig(
                **settings, out=tmp_path / "other", cache=tmp_path / "cache", readings=("text/tokens", "text/bytes")
            )
        )
    for name in ("results.json", "records.jsonl", "items.jsonl"):
        bytes_of = {(tmp_path / out / name).read_bytes() for out in ("plain", "kept", "again")}
        assert len(bytes_of) == 1, name
    double = evaluate(EvaluateConfig(**settings, out=tmp_path / "double", precision="float64"))
    assert double.scores["config"]["model_dtype"] == "torch.float64"
