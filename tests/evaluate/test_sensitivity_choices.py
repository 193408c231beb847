"""Bias to places and calibration, against sums by hand."""

import math

import pytest

from libertas.evaluate.sensitivity.choices import calibration, confidence, place_bias


def test_bias_to_a_place_is_how_much_oftener_it_is_chosen_than_right():
    # chosen A A A B, right A A B B: .75 .25 against .5 .5; recalls 1 and .5
    found = place_bias([0, 0, 0, 1], [0, 0, 1, 1])
    assert found["chosen"] == [0.75, 0.25]
    assert found["gold"] == [0.5, 0.5]
    assert found["total_variation"] == pytest.approx(0.25)
    assert found["recall"] == [1.0, 0.5]
    assert found["recall_deviation"] == pytest.approx(0.25)


def test_answers_without_a_choice_are_counted_beside_the_places():
    found = place_bias([0, -1, -1, 1], [0, 0, 1, 1])
    assert found["none"] == 0.5
    assert found["chosen"] == [0.25, 0.25]
    assert found["total_variation"] == pytest.approx((0.25 + 0.25 + 0.5) / 2)


def test_a_place_that_is_never_right_has_no_recall():
    found = place_bias([2, 0], [0, 0])
    assert found["recall"] == [0.5, None, None]
    assert found["recall_deviation"] == 0


def test_confidence_is_the_largest_probability_of_a_softmax():
    assert confidence([math.log(3), 0.0]) == pytest.approx(0.75)
    assert confidence([-1e4, -1e4 - 800]) == pytest.approx(1)


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    # bin .6-.7: two answers, .65 sure, .5 right; bin .9-1: two answers, .95 sure, all right
    found = calibration([0.65, 0.65, 0.95, 0.95], [True, False, True, True])
    assert found["error"] == pytest.approx(0.5 * 0.15 + 0.5 * 0.05)
    assert [(b["low"], b["n"]) for b in found["bins"]] == [(0.6, 2), (0.9, 2)]
    assert found["bins"][0]["accuracy"] == 0.5
    assert found["confidence"] == pytest.approx(0.8)


def test_an_upper_end_belongs_to_its_bin():
    assert [b["high"] for b in calibration([0.5, 1.0], [True, True])["bins"]] == [0.5, 1.0]


def test_a_model_as_sure_as_it_is_right_has_no_error():
    assert calibration([0.75] * 4, [True, True, True, False])["error"] == pytest.approx(0)
