"""The order of models over cells: tau against values by hand, and flips that are noise or not."""

from typing import Any

import pytest

from libertas.errors import UsageError
from libertas.evaluate.sensitivity.ranks import kendall_tau, rank_stability


def test_tau_is_agreeing_less_disagreeing_pairs():
    assert kendall_tau([1, 2, 3, 4], [1, 2, 3, 4]) == pytest.approx(1)
    assert kendall_tau([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx((5 - 1) / 6)


def test_ties_shrink_the_pairs_that_tau_divides_by():
    # one tie of three pairs: 2 agree, none disagrees; 2 / sqrt(2 * 3)
    assert kendall_tau([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / 6**0.5)
    assert kendall_tau([1, 1, 2], [1, 2, 2]) == pytest.approx(1 / 2)
    assert kendall_tau([1, 1, 1], [1, 2, 3]) is None


def report(*rows: str, items: list[str] | None = None, groups: list[str] | None = None) -> dict[str, Any]:
    """A sensitivity report of one task; the cells differ by their protocol."""
    names = items or [f"i{n}" for n in range(len(rows[0]))]
    fixed = {"normalization": "none", "wording": "w", "shots": 0, "seed": 0, "order": 0}
    cells = [{"protocol": f"p{n}", **fixed, "right": row} for n, row in enumerate(rows)]
    return {"tasks": {"t": {"items": names, "groups": groups or names, "cells": cells}}}


def test_models_that_change_places_far_beyond_noise_flip():
    ahead, behind = "1" * 30 + "0" * 10, "0" * 28 + "1" * 12
    found = rank_stability({"a": report(ahead, behind), "b": report(behind, ahead)})["t"]
    assert found["tau_mean"] == -1
    pair = found["pairs"][0]
    assert (pair["models"], pair["ahead"], pair["behind"], pair["level"]) == (["a", "b"], 1, 1, 0)
    assert pair["most_ahead"]["cell"]["protocol"] == "p0"
    assert pair["most_ahead"]["difference"] == pytest.approx(0.75 - 0.3)
    assert pair["most_behind"]["difference"] == pytest.approx(0.3 - 0.75)
    assert pair["flips"]
    assert pair["beyond_noise"]


def test_a_flip_by_a_single_question_is_noise():
    # p0: a is ahead by one of 4: differences 1 0 0 0, error sqrt(4 / 3 * (.75^2 + 3 * .25^2)) / 4 = .25
    found = rank_stability({"a": report("1100", "1100"), "b": report("0100", "1110")})["t"]["pairs"][0]
    assert found["most_ahead"]["difference"] == pytest.approx(0.25)
    assert found["most_ahead"]["stderr"] == pytest.approx(0.25)
    assert found["flips"]
    assert not found["beyond_noise"]


def test_few_questions_are_never_beyond_noise_however_much_they_agree():
    pair = rank_stability({"a": report("111", "000"), "b": report("000", "111")})["t"]["pairs"][0]
    assert pair["most_ahead"]["stderr"] == 0
    assert pair["flips"]
    assert not pair["beyond_noise"]


def test_a_single_cluster_has_no_error():
    groups = ["g", "g"]
    pair = rank_stability({"a": report("00", "11", groups=groups), "b": report("00", "00", groups=groups)})["t"][
        "pairs"
    ][0]
    assert pair["most_ahead"]["cell"]["protocol"] == "p1"
    assert pair["most_ahead"]["stderr"] is None
    assert not pair["most_ahead"]["beyond_noise"]


def test_a_model_that_is_ahead_everywhere_does_not_flip():
    found = rank_stability({"a": report("1110", "1100"), "b": report("1000", "1000")})["t"]
    assert found["tau_lowest"] == 1
    assert found["pairs"][0]["most_behind"] is None
    assert not found["pairs"][0]["flips"]


def test_three_models_are_compared_in_pairs_over_all_pairs_of_cells():
    # accuracies a b c: p0 .75 .5 .25, p1 .75 .25 .5: one of three pairs disagrees
    reports = {"a": report("1110", "1110"), "b": report("1100", "1000"), "c": report("1000", "1100")}
    found = rank_stability(reports)["t"]
    assert found["tau_mean"] == pytest.approx(1 / 3)
    assert [pair["models"] for pair in found["pairs"]] == [["a", "b"], ["a", "c"], ["b", "c"]]


def test_questions_are_paired_by_their_ids():
    one = report("110", items=["x", "y", "z"])
    two = report("011", items=["z", "y", "w"])
    found = rank_stability({"a": one, "b": two})["t"]
    assert found["items"] == 2
    assert found["pairs"][0]["level"] == 1  # y: both right; z: both wrong


def test_questions_of_one_group_count_as_one_cluster():
    groups = ["g", "g", "h", "h"]
    # differences 1 1 0 0: cluster sums of deviations 1 and -1: sqrt(2 * 2) / 4
    found = rank_stability({"a": report("1100", groups=groups), "b": report("0000", groups=groups)})["t"]
    assert found["pairs"][0]["most_ahead"]["stderr"] == pytest.approx(0.5)


def test_models_without_a_task_in_common_and_a_single_one_are_refused():
    with pytest.raises(UsageError, match="1 sensitivity reports"):
        rank_stability({"a": report("1")})
    with pytest.raises(UsageError, match="share no task"):
        rank_stability({"a": report("1"), "b": {"tasks": {}}})
