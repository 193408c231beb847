"""Errors and intervals: by hand, against another way to them, and by how often they hold what is true."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.evaluate.statistics import (
    Estimate,
    clustered_mean,
    clustered_share,
    detectable,
    detectable_over,
    effective_items,
    mcnemar,
    paired_ratio,
    paired_shares,
    ratio,
    student,
    weighted_ratio,
)


def bootstrapped(values, by, groups, draws=4000):
    """Standard error of a ratio of sums by drawing whole groups with replacement (Efron 1979)."""
    _, cluster = np.unique(np.asarray(groups), return_inverse=True)
    above, below = np.bincount(cluster, weights=values), np.bincount(cluster, weights=by)
    chosen = np.random.default_rng(0).integers(0, len(above), (draws, len(above)))
    return float(np.std(above[chosen].sum(1) / below[chosen].sum(1), ddof=1))


def names(count: int, each: int = 1) -> list[str]:
    return [str(n // each) for n in range(count)]


def test_without_clusters_the_error_is_the_textbook_one():
    values = [1.0, 0.0, 0.0, 1.0, 1.0]
    estimate = clustered_mean(values, ["a", "b", "c", "d", "e"])
    assert estimate is not None
    assert estimate.mean == 0.6
    assert estimate.stderr == pytest.approx(np.std(values, ddof=1) / math.sqrt(5))
    assert estimate == clustered_mean(values)


def test_items_that_share_a_document_widen_the_error():
    # Two clusters of two equal values: means 1 and 0, deviations from 0.5 sum to +1 and -1.
    estimate = clustered_mean([1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"])
    assert estimate == Estimate(0.5, math.sqrt(2 / 1 * (1 + 1)) / 4, 4, freedom=1)


def test_one_cluster_has_no_error_and_no_values_have_no_mean():
    one = clustered_mean([1.0, 0.0], ["a", "a"])
    assert one == Estimate(0.5, None, 2, freedom=0)
    assert one.interval is None
    assert one.to_json() == {"mean": 0.5, "stderr": None, "n": 2, "interval": None}
    assert clustered_mean([], []) is None
    assert ratio([3.0], [2.0]) == Estimate(1.5, None, 1, freedom=0)
    assert ratio([], []) is None
    assert detectable(one) is None
    assert detectable_over(0.25, one) is None


def test_the_ratio_weighs_documents_by_their_bytes():
    estimate = ratio([2.0, 30.0], [1.0, 10.0])
    assert estimate is not None
    assert estimate.mean == 32 / 11
    # residuals 2 - r and 30 - 10 r are opposite numbers, 10/11 and -10/11: their deviation is sqrt(2) * 10/11
    assert estimate.stderr == pytest.approx(math.sqrt(2) * (10 / 11) / (5.5 * math.sqrt(2)))


def test_the_errors_agree_with_a_bootstrap_over_clusters():
    generator = np.random.default_rng(2)
    groups = names(400, 4)
    effect = np.repeat(generator.random(100), 4)
    values, by = effect + 0.1 * generator.random(400), 1 + generator.random(400)
    assert ratio(values, by, groups).stderr == pytest.approx(bootstrapped(values, by, groups), rel=0.05)
    assert ratio(values, by).stderr == pytest.approx(bootstrapped(values, by, names(400)), rel=0.05)
    assert clustered_mean(values, groups).stderr == pytest.approx(bootstrapped(values, np.ones(400), groups), rel=0.05)


def test_the_mean_over_subjects_has_the_error_of_its_strata():
    right = [1.0, 0, 0, 0, 1, 1, 0]
    subjects = ["law"] * 4 + ["art"] * 3
    found = weighted_ratio(right, np.ones(7), subjects, {"law": 1.0, "art": 1.0})
    assert found.mean == pytest.approx((0.25 + 2 / 3) / 2)
    law, art = clustered_mean(right[:4]), clustered_mean(right[4:])
    assert found.stderr == pytest.approx(math.hypot(law.stderr, art.stderr) / 2)
    assert (found.n, found.freedom) == (7, 5)


def test_one_stratum_is_the_plain_ratio_and_a_lonely_item_leaves_the_error_open():
    a, b = [3.0, 1, 4, 1, 5], [2.0, 7, 1, 8, 2]
    one, plain = weighted_ratio(a, b, ["x"] * 5, {"x": 3.0}, names(5, 2)), ratio(a, b, names(5, 2))
    assert (one.mean, one.stderr) == pytest.approx((plain.mean, plain.stderr))
    assert one.freedom == plain.freedom == 2
    assert weighted_ratio(a, b, ["x"] * 4 + ["y"], {"x": 1.0, "y": 1.0}).stderr is None
    assert weighted_ratio(a, b, ["x"] * 4 + ["y"], {"x": 1.0}).stderr == pytest.approx(ratio(a[:4], b[:4]).stderr)
    assert weighted_ratio(a, b, ["x"] * 5, {}) is None


def test_a_cluster_in_two_strata_is_one_cluster():
    # parts of "s" in both strata add up before they are squared: 1/8 and 1/8; those of the others are -1/8 each
    found = weighted_ratio([1, 0, 1, 0], np.ones(4), ["x", "x", "y", "y"], {"x": 1.0, "y": 1.0}, ["s", "t", "s", "u"])
    assert found.stderr == pytest.approx(math.sqrt(2 * (0.25**2 + 0.125**2 + 0.125**2)))


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (31, 2.0395), (120, 1.9799)],
)
def test_students_quantiles_are_those_of_the_tables(freedom, quantile):
    assert student(0.975, freedom) == pytest.approx(quantile, abs=6e-5)


def test_infinite_freedom_is_the_normal_distribution():
    assert student(0.975, math.inf) == pytest.approx(1.959964, abs=1e-6)
    assert detectable(Estimate(0.0, 1.0, 100)) == pytest.approx(2.80, abs=0.005)


def test_wilsons_interval_by_hand():
    # Newcombe 1998, table I: 81 of 263, 95 %: 0.2553 to 0.3662, with the normal quantile
    found = clustered_share([1.0] * 81 + [0.0] * 182)
    assert found.interval == pytest.approx((0.2553, 0.3662), abs=5e-4)
    ten = clustered_share([1.0] * 10)
    t = student(0.975, 9)
    assert (ten.stderr, ten.interval) == (0.0, pytest.approx((10 / (10 + t**2), 1.0)))


def test_items_that_all_agree_count_by_their_clusters():
    assert effective_items(clustered_share([1.0] * 40, names(40, 10))) == 4
    assert clustered_share([1.0] * 40, names(40, 10)).interval[0] < clustered_share([1.0] * 40).interval[0]


def test_alike_items_count_less_and_never_more_than_there_are():
    twins = clustered_share([1.0, 1, 0, 0] * 50, names(200, 2))
    assert effective_items(twins) == pytest.approx(100, rel=0.02)
    assert effective_items(clustered_share([1.0, 0] * 50, names(100, 2))) == 100  # opposites in each cluster


def test_what_stands_out_from_chance_is_a_matter_of_items():
    found = clustered_share([1.0, 0, 0, 0] * 250)
    assert detectable_over(0.25, found) == pytest.approx(2.8016 * math.sqrt(0.25 * 0.75 / 1000), rel=2e-3)


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(1, 5))
def test_an_interval_holds_its_share_and_stays_between_0_and_1(right, each):
    found = clustered_share([float(r) for r in right], names(len(right), each))
    if found.interval is not None:
        low, high = found.interval
        assert 0 <= low <= found.mean + 1e-12
        assert found.mean - 1e-12 <= high <= 1
        assert low < high


def held(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


def shares(clusters: int, truth: float, times: int = 300):
    """Intervals from clusters of 2 to 19 items with a correlation of 0.3 within."""
    generator = np.random.default_rng(clusters)
    for _ in range(times):
        sizes = generator.integers(2, 20, clusters)
        chances = generator.beta(truth * 7 / 3, (1 - truth) * 7 / 3, clusters)
        right = np.concatenate([generator.random(s) < p for s, p in zip(sizes, chances, strict=True)]).astype(float)
        groups = np.repeat(np.arange(clusters), sizes)
        yield clustered_share(right, groups), clustered_mean(right, groups)


@pytest.mark.parametrize(("clusters", "truth"), [(8, 0.25), (15, 0.5), (40, 0.25)])
def test_few_clusters_keep_their_promise_with_students_and_wilsons_interval(clusters, truth):
    found = list(shares(clusters, truth))
    assert held([share.interval for share, _ in found], truth) > 0.9
    normal = [(mean.mean - 1.96 * mean.stderr, mean.mean + 1.96 * mean.stderr) for _, mean in found]
    assert held([share.interval for share, _ in found], truth) >= held(normal, truth)


def test_ratios_of_ten_documents_keep_their_promise():
    generator = np.random.default_rng(5)
    found = []
    for _ in range(600):
        size = generator.lognormal(7, 0.7, 10)
        found.append(ratio(size * generator.normal(2, 0.3, 10), size).interval)
    assert 0.9 < held(found, 2.0) < 0.99


@pytest.mark.parametrize(("won", "lost", "expected"), [(0, 0, 1.0), (5, 0, 2 / 32), (1, 9, 2 * 11 / 1024), (4, 4, 1.0)])
def test_mcnemar_is_twice_the_binomial_tail(won: int, lost: int, expected: float) -> None:
    assert mcnemar(won, lost) == pytest.approx(expected)
    assert mcnemar(lost, won) == mcnemar(won, lost)


def test_mcnemar_of_many_flips_is_the_normal_one() -> None:
    won, lost = 5200, 4800
    assert mcnemar(won, lost) == pytest.approx(math.erfc((won - lost - 1) / math.sqrt(2 * (won + lost))), rel=0.01)


def test_paired_shares_by_hand():
    # 12 items: 3 won, 1 lost. Agresti and Min: 2 / 14 +- t * sqrt(5 - 4 / 14) / 14 with a design effect of 12 / 11
    found = paired_shares([False] * 3 + [True] * 9, [True] * 3 + [False] + [True] * 8, names(12))
    assert found.mean == pytest.approx(2 / 12)
    assert found.stderr == pytest.approx(np.std([1, 1, 1, -1] + [0] * 8, ddof=1) / math.sqrt(12))
    pairs, changed, more = 11 + 2, 4 * 11 / 12 + 1, 2 * 11 / 12
    half = student(0.975, 11) * math.sqrt(changed - more**2 / pairs) / pairs
    assert found.interval == pytest.approx((more / pairs - half, more / pairs + half))


def test_three_items_without_a_flip_are_no_proof_that_nothing_changed():
    same = paired_shares([True] * 3, [True] * 3, names(3))
    assert (same.mean, same.stderr) == (0.0, 0.0)
    assert same.interval[0] < -0.5
    many = paired_shares([True] * 1000, [True] * 1000, names(1000))
    assert many.interval == pytest.approx((-1.96 / 1002, 1.96 / 1002), rel=2e-3)


def test_differences_of_shares_keep_their_promise():
    generator = np.random.default_rng(8)
    found = []
    for _ in range(500):
        easy = generator.random(60)
        before, after = generator.random(60) < easy, generator.random(60) < np.minimum(easy + 0.1, 1)
        found.append(paired_shares(before.tolist(), after.tolist(), names(60)).interval)
    assert held(found, 0.1 - 0.1**2 / 2) > 0.93


@given(st.integers(0, 1000))
def test_a_model_paired_with_itself_differs_by_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    bits, size = generator.random(20), generator.integers(1, 50, 20)
    same = paired_ratio(bits, size, bits, size, names(20, 2))
    assert same is not None
    assert (same.mean, same.stderr) == (0.0, 0.0)


def test_the_paired_error_is_that_of_the_difference_where_lengths_are_equal() -> None:
    generator = np.random.default_rng(1)
    one, two = generator.random(50), generator.random(50)
    found = paired_ratio(one, np.ones(50), two, np.ones(50), names(50))
    assert found is not None
    assert found.stderr == pytest.approx(np.std(two - one, ddof=1) / math.sqrt(50))
