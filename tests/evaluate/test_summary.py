"""Records -> rows and tables: baselines, subjects, and what stands out from chance."""

import math

import numpy as np
import pytest
from making import printed
from test_bits_per_byte import RECORDS

from libertas.evaluate.answer import Choice
from libertas.evaluate.item import choice_item
from libertas.evaluate.reading import reading_named
from libertas.evaluate.summary import AnswerRecord, TrainingPart, accuracies, bits_per_byte, spread
from libertas.evaluate.tables import score_tables

TEXT = reading_named("text")


def answered(name: str, subject: str, right: bool, blind: int = 0, group: str = "") -> AnswerRecord:
    """An item of four choices, of which the second is right."""
    item = choice_item(name, "wxyz", 1, question="Which?", group=group, meta={"subject": subject})
    chosen = 1 if right else 2
    return AnswerRecord(Choice(item, "text", (0.0,) * 4, (0.0,) * 4, chosen, blind, False, False), None)


def row_of(records: list[AnswerRecord]) -> dict:
    (row,) = accuracies(records, [TEXT])
    return row


def test_subjects_count_alike_in_the_mean_over_them_whatever_their_size():
    law = [answered(f"l{n}", "law", n < 6) for n in range(8)]
    art = [answered(f"a{n}", "art", n < 1) for n in range(4)]
    row = row_of([*law, *art])
    assert row["accuracy"]["mean"] == pytest.approx(7 / 12)
    assert row["macro"]["mean"] == pytest.approx((0.75 + 0.25) / 2)
    errors = [np.std([1] * 6 + [0] * 2, ddof=1) / math.sqrt(8), np.std([1, 0, 0, 0], ddof=1) / 2]
    assert row["macro"]["stderr"] == pytest.approx(math.hypot(*errors) / 2)
    assert row["components"]["law"]["accuracy"]["mean"] == 0.75
    assert row_of(law)["macro"] is None


@pytest.mark.parametrize(("right", "said"), [(25, "undecided"), (60, "above"), (5, "below"), (33, "undecided")])
def test_a_score_stands_out_from_chance_only_if_its_interval_does(right, said):
    row = row_of([answered(str(n), "all", n < right) for n in range(100)])
    assert (row["chance"], row["against_chance"]) == (0.25, said)
    assert row["detectable"] == pytest.approx(2.83 * math.sqrt(0.25 * 0.75 / 100), rel=0.01)


def test_the_blind_baseline_has_an_error_and_leaves_out_what_was_not_asked():
    row = row_of([answered(str(n), "all", True, blind=(1, 0, -1)[n % 3]) for n in range(12)])
    assert row["answer_only"] == 0.5
    assert row["answer_only_stderr"] == pytest.approx(np.std([1, 0] * 4, ddof=1) / math.sqrt(8))
    assert row["majority"] == 1.0
    unasked = row_of([answered(str(n), "all", True, blind=-1) for n in range(3)])
    assert (unasked["answer_only"], unasked["answer_only_stderr"]) == (None, None)


def test_tables_fit_80_columns_with_every_kind_of_row():
    rows = accuracies(
        [
            answered(f"{s}{n}", s, n < 5 or s == "law", blind=-1)
            for s in ("law", "art")
            for n in range(20 + 9 * (s == "law"))
        ],
        [TEXT],
    )
    everything = accuracies([answered(str(n), "all", True) for n in range(10)], [TEXT])
    training = {"code": TrainingPart(500, 1000), "web": TrainingPart(900, 3000)}
    scores = {
        "bits_per_byte": bits_per_byte(RECORDS, training),
        "continuation": {"protocols": []},
        "tasks": {
            "mmlu": {"items": 40, "protocols": rows, "spread": spread(rows)},
            "sure": {"items": 10, "protocols": everything, "spread": 0.0},
        },
        "contamination": {"measured": False},
    }
    text = printed(score_tables(scores))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for line in ("as mixed", "Pile's", "lm-eval's", "commonest place", " 2 parts", "100.0 (66..100)", "not measured"):
        assert line in text
