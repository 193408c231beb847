"""A small version of the benchmark of known leaks: what it promises holds for every family."""

import runpy
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "evaluate_leaks.py"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    module = runpy.run_path(str(BENCHMARK))
    planted = module["made"](8, 1)
    return list(module["summed"](planted, [], module["measured"](planted, [], 1)))


def test_precision_and_recall_of_leaks_with_answers_are_98_percent(rows) -> None:
    by_system = {row["system"]: row for row in rows if "system" in row}
    assert by_system["libertas"]["precision"] >= 0.98
    assert by_system["libertas"]["recall"] >= 0.98
    assert by_system["libertas"]["leaks"] >= 100
    for name in ("13 words", "8-gram coverage", "50 characters"):
        assert by_system[name]["precision"] < 0.9


def test_no_family_of_leaks_is_missed_and_no_trap_springs(rows) -> None:
    for row in rows:
        if row.get("kind") == "leak":
            assert row["libertas"] >= 0.8, row["family"]
        if row.get("kind") == "trap":
            assert row["libertas"] <= 0.2, row["family"]


def test_a_question_without_its_answer_is_not_called_one_with_it(rows) -> None:
    [row] = [row for row in rows if row.get("family") == "question without answer"]
    assert row["libertas"] == 0
