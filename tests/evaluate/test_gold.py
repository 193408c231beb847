"""Right answers, written down, score 100 % under the grader of their task; and what a score is to be held against."""

from collections import Counter

import pytest

from libertas.evaluate.produce import graded
from libertas.evaluate.task import GENERATED, load_task
from libertas.evaluate.written import WrittenAnswer, written_scores


@pytest.mark.parametrize("name", GENERATED)
def test_right_answers_that_are_written_score_all_and_their_baselines_are_below(name):
    items = load_task(name, 3).items
    right, errors = graded(items, [(item.answer,) for item in items], name)
    assert set(errors) == {""}
    records = [
        WrittenAnswer(item, "generate", (item.answer,), own, (True,), (item.gold,) if item.choices else (), False)
        for item, own in zip(items, right, strict=True)
    ]
    found = written_scores(records)
    assert found["accuracy"]["mean"] == 1.0
    assert found["unextracted_share"] == (0.0 if items[0].choices else None)
    assert found["chance"] == pytest.approx(sum(1 / len(item.choices) for item in items if item.choices) / len(items))
    assert found["majority"] < 0.6
    if name == "arithmetic":
        assert found["majority"] == max(Counter(item.answer for item in items).values()) / len(items)
