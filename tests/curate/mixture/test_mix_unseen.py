"""The proof: no near-duplicate above the threshold slips through the bands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import document, text

from libertas.curate import minhash
from libertas.curate.mixture.unseen import NearIndex, UnseenWatch, note_held_out, shared_ngrams


def noisy(seed: int, changes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Some signatures, and others that differ from them in so many random bins."""
    random = np.random.default_rng(seed)
    signs = random.integers(0, 1 << 31, (4, minhash.BINS), dtype=np.uint32)
    others = []
    for change in changes:
        other = signs[random.integers(0, 4)].copy()
        places = random.choice(minhash.BINS, change, replace=False)
        other[places] = random.integers(0, 1 << 31, change, dtype=np.uint32)
        others.append(other)
    return signs, np.array(others, dtype=np.uint32).reshape(-1, minhash.BINS)


@given(st.integers(0, 999), st.lists(st.integers(0, minhash.BINS), max_size=12), st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_bands_find_the_same_as_comparing_each_with_each(seed, changes, at_least) -> None:
    signs, others = noisy(seed, changes)
    best, value = NearIndex(signs, at_least).nearest(others)
    alike = minhash.similarity(signs[None], others[:, None])
    for row, found, similarity in zip(alike, best, value, strict=True):
        if row.max() >= at_least:
            assert (found, similarity) == (int(row.argmax()), row.max())
        else:
            assert found == -1


def test_as_many_bins_may_differ_as_the_threshold_allows_wherever_they_are() -> None:
    signs, _ = noisy(1, [])
    for start in range(minhash.BINS):
        other = signs[:1].copy()
        other[0, (np.arange(22) * 5 + start) % minhash.BINS] ^= 1  # 90 of 112 agree: 0.804
        assert NearIndex(signs, 0.8).nearest(other)[0].tolist() == [0]


def test_pages_of_one_template_are_not_compared_with_each_other(monkeypatch) -> None:
    template = " ".join(f"word{k}" for k in range(60))
    pages = [template + " " + " ".join(f"u{n}x{k}" for k in range(20)) for n in range(1050)]
    signs = minhash.signatures([*pages, pages[3] + " and so on"])
    assert 0.5 < minhash.similarity(signs[0], signs[1]) < 0.7
    compared = []
    similarity = minhash.similarity
    monkeypatch.setattr(minhash, "similarity", lambda a, b: (compared.append(len(a)), similarity(a, b))[1])
    best, _ = NearIndex(signs[:50], 0.8).nearest(signs[50:])
    assert np.flatnonzero(best >= 0).tolist() == [1000]
    assert best[1000] == 3
    assert sum(compared) < 50 * 1001 / 20


def test_of_equal_signatures_each_is_compared_once_and_the_first_is_found(monkeypatch) -> None:
    signs, _ = noisy(1, [])
    compared = []
    similarity = minhash.similarity
    monkeypatch.setattr(minhash, "similarity", lambda a, b: (compared.append(len(a)), similarity(a, b))[1])
    assert NearIndex(np.repeat(signs, 100, axis=0), 0.8).nearest(signs[2:])[0].tolist() == [200, 300]
    assert sum(compared) == 2


def test_texts_without_words_are_like_nothing() -> None:
    signs = minhash.signatures(["", "…", "a b c d e f g"])
    assert NearIndex(signs, 0.8).nearest(signs)[0].tolist() == [-1, -1, 2]


def test_what_is_held_out_is_recognized_by_id_text_and_signature(tmp_path) -> None:
    held = [document(n, content=text(n, 200)) for n in range(6)]
    note_held_out({"validation": held[:4], "test": held[4:]}, tmp_path, 10**4)
    watch = UnseenWatch(tmp_path, 0.8)
    watch.see([document(n, content=text(n, 200)) for n in range(50, 60)])
    assert (watch.ids, watch.texts, watch.near) == (0, 0, 0)
    watch.see([held[5], document(70, content=held[1].text + "\n"), document(71, content=held[2].text + " and so on")])
    assert (watch.ids, watch.texts, watch.near) == (1, 2, 3)


def test_a_sample_of_ngrams_estimates_what_all_of_them_say(tmp_path, monkeypatch) -> None:
    held = [document(n, content=text(n, 400)) for n in range(30)]
    seen = [document(100 + n, content=text(n, 400)[:1000]) for n in range(0, 30, 2)]
    size, shares = sum(len(d.text) for d in held), []
    for most in (1 << 24, 2500):
        monkeypatch.setattr("libertas.curate.mixture.unseen.MOST_NGRAMS", most)
        ngrams, share = note_held_out({"validation": held}, tmp_path, size)
        watch = UnseenWatch(tmp_path, 0.8)
        watch.see(seen)
        shares.append((share, len(watch.met), shared_ngrams(ngrams, tmp_path, watch.met)["validation"]["web"]))
    (one, all_ngrams, exact), (part, some, estimate) = shares
    assert one == 1.0
    assert part == pytest.approx(2500 * 6 / size)
    assert some == pytest.approx(part * all_ngrams, rel=0.15)
    assert estimate == pytest.approx(exact, abs=0.06)
