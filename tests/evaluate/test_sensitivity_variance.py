"""Variance by factor, and what is noise, against sums by hand and simulated questions."""

import math
from itertools import product

import numpy as np
import pytest

from libertas.evaluate.sensitivity.grid import GridCell
from libertas.evaluate.sensitivity.variance import REST, deviations, effects, explained, noise_of
from libertas.evaluate.statistics import clustered_mean

PLACES = {"protocol": 0, "wording": 1, "examples": 2, "order": 3}


def cells_of(protocols=1, wordings=1, examples=((0, 0),), orders=1) -> list[GridCell]:
    return [
        GridCell(protocol=f"p{p}", normalization="none", wording=f"w{w}", shots=shots, seed=seed, order=order)
        for p, w, (shots, seed), order in product(range(protocols), range(wordings), examples, range(orders))
    ]


def answers(means: list[float], items: int = 10) -> np.ndarray:
    """Whole items right, so that each cell has exactly its mean."""
    return np.array([[item < round(mean * items) for mean in means] for item in range(items)])


def own(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_two_factors_without_interaction_share_the_variance_as_by_hand():
    # means .5 .7 / .1 .3; grand .4; protocols .6 .2: 4 * .2^2 = .16; wordings .3 .5: 4 * .1^2 = .04; no interaction
    found = {e.name: e for e in effects(cells_of(2, 2), answers([0.5, 0.7, 0.1, 0.3]), own(10))}
    assert found["protocol"].squares == pytest.approx(0.16)
    assert found["wording"].squares == pytest.approx(0.04)
    assert found["reading x wording"].squares == pytest.approx(0, abs=1e-12)
    assert [e.degrees for e in found.values()] == [1, 1, 1]
    assert found["protocol"].to_json(0.2)["share"] == pytest.approx(0.8)


def test_an_interaction_is_what_the_main_effects_leave():
    # means .2 .8 / .8 .2: both marginal means are .5, and 4 * .3^2 = .36 is interaction
    found = {e.name: e for e in effects(cells_of(2, 2), answers([0.2, 0.8, 0.8, 0.2]), own(10))}
    assert found["protocol"].squares == pytest.approx(0, abs=1e-12)
    assert found["reading x wording"].squares == pytest.approx(0.36)


def test_draws_of_examples_are_counted_within_their_number():
    # none .2; two, drawn twice: .4 .6. grand .4; shots: 1 * .2^2 + 2 * .1^2 = .06; draws: 2 * .1^2 = .02
    cells = cells_of(examples=((0, 0), (2, 0), (2, 1)))
    found = {e.name: e for e in effects(cells, answers([0.2, 0.4, 0.6]), own(10))}
    assert found["shots"].squares == pytest.approx(0.06)
    assert found["seed"].squares == pytest.approx(0.02)
    assert (found["shots"].degrees, found["seed"].degrees) == (1, 1)


def test_normalizations_are_counted_within_their_protocol():
    # p0: .2 .4 .6 by three normalizations, p1: .8 by one. grand .5; protocols .4 .8: 3 * .01 + .09 = .12; within: .08
    cells = [
        GridCell(protocol=p, normalization=n, wording="w", shots=0, seed=0, order=0)
        for p, n in (("p0", "none"), ("p0", "bytes"), ("p0", "pmi"), ("p1", "none"))
    ]
    found = {e.name: e for e in effects(cells, answers([0.2, 0.4, 0.6, 0.8]), own(10))}
    assert found["protocol"].squares == pytest.approx(0.12)
    assert found["normalization"].squares == pytest.approx(0.08)
    assert (found["protocol"].degrees, found["normalization"].degrees) == (1, 2)


def test_effects_add_up_to_the_total_and_leave_out_factors_of_one_level():
    cells = cells_of(3, 2, ((0, 0), (2, 0), (2, 1)), 2)
    right = np.random.default_rng(1).random((40, len(cells))) < 0.4
    found = effects(cells, right, own(40))
    means = right.mean(0)
    assert sum(e.squares for e in found) == pytest.approx(((means - means.mean()) ** 2).sum())
    assert sum(e.degrees for e in found) == len(cells) - 1
    assert found[-1].name == REST
    assert [e.name for e in effects(cells_of(2), right[:, :2], own(40))] == ["protocol"]


def test_a_grid_that_is_not_balanced_is_a_mistake():
    with pytest.raises(AssertionError, match="not balanced"):
        effects(cells_of(2, 2)[:3], answers([0.1, 0.2, 0.3]), own(10))


def test_explained_is_the_sum_of_squares_between_groups():
    assert explained(np.array([1.0, 3.0, 5.0, 7.0]), ["a", "a", "b", "b"]) == pytest.approx(4 * 2.0**2)


def test_deviations_hold_the_clustered_error_of_every_cell():
    right = (np.random.default_rng(2).random((30, 5)) < 0.5).astype(float)
    groups = [str(number // 3) for number in range(30)]
    errors = np.sqrt((deviations(right, groups) ** 2).sum(0))
    for cell in range(5):
        estimate = clustered_mean(right[:, cell], groups)
        assert estimate is not None
        assert errors[cell] == pytest.approx(estimate.stderr)


def range_factor(count: int) -> float:
    """Expected range of so many standard normal numbers (Tippett 1925), by the trapezoid rule."""
    x = np.linspace(-8, 8, 4001)
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x])
    return float(np.trapezoid(1 - below**count - (1 - below) ** count, x))


def test_the_range_factor_of_two_normal_numbers_is_known():
    assert range_factor(2) == pytest.approx(2 / math.sqrt(math.pi), abs=1e-6)


def test_the_spread_expected_from_noise_is_that_of_simulated_cells_of_one_true_score():
    generator = np.random.default_rng(3)
    items, cells, score = 200, 20, 0.3
    simulated = [np.ptp(generator.binomial(items, score, cells) / items) for _ in range(4000)]
    estimated = [noise_of(generator.random((items, cells)) < score, own(items)).spread for _ in range(20)]
    formula = math.sqrt(score * (1 - score) / items) * range_factor(cells)
    assert np.mean(simulated) == pytest.approx(formula, rel=0.02)
    assert np.mean(estimated) == pytest.approx(formula, rel=0.04)


def test_cells_that_agree_on_every_question_have_no_noise_between_them():
    right = np.repeat(np.random.default_rng(4).random((50, 1)) < 0.5, 6, axis=1)
    noise = noise_of(right, own(50))
    assert noise.spread == pytest.approx(0, abs=1e-12)
    assert noise.low == pytest.approx(right.mean())


def test_where_no_factor_matters_one_case_of_twenty_exceeds_its_noise():
    generator = np.random.default_rng(5)
    cells = cells_of(2, 2, orders=2)
    exceeded, ratios = [], []
    for _ in range(60):
        ability = generator.random((80, 1))  # questions are easy or hard, alike for all cells
        found = effects(cells, generator.random((80, 8)) < ability, own(80))
        exceeded += [e.squares > e.noise_95 for e in found]
        ratios += [e.squares / e.noise for e in found]
    assert 0.01 < np.mean(exceeded) < 0.1
    assert np.mean(ratios) == pytest.approx(1, rel=0.15)


def test_a_factor_that_matters_exceeds_its_noise():
    generator = np.random.default_rng(6)
    right = generator.random((200, 4)) < np.array([0.7, 0.7, 0.4, 0.4])
    found = {e.name: e for e in effects(cells_of(2, 2), right, own(200))}
    assert found["protocol"].squares > found["protocol"].noise_95
