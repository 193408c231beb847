"""Two models on the same items: differences by hand, and a gate that says when it cannot tell."""

import math
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.errors import UsageError
from libertas.evaluate.compare import (
    GO,
    INCONCLUSIVE,
    NO_GO,
    Difference,
    NoGo,
    TooFewItems,
    compare,
    comparison_tables,
)
from libertas.evaluate.config import CompareConfig
from libertas.evaluate.result import ITEMS, RECORDS, RESULTS
from libertas.evaluate.statistics import (
    Estimate,
    bootstrapped,
    clustered_mean,
    detectable,
    mcnemar,
    paired_ratio,
    ratio,
)
from libertas.lineage.artifact import Draft


def result(out: Path, right: dict[str, bool], bits: dict[str, float]) -> Path:
    """A result with these answers, and these bits for documents of 100 bytes each."""
    draft = Draft(kind="result", out=out, config=CompareConfig(results=(out, out)), inputs={}, code="libertas.corpus")
    with draft.build() as folder:
        answers = [
            {"task": "mmlu", "protocol": "letters", "item": item, "group": item, "correct": correct}
            for item, correct in right.items()
        ]
        documents = [
            {"task": "bits_per_byte", "document": name, "bytes": 100, "log_probability": -value * math.log(2)}
            for name, value in bits.items()
        ]
        items = [{"task": "mmlu", "id": item, "question": f"What is {item}?", "passage": ""} for item in right]
        for name, rows in ((RECORDS, [*answers, *documents]), (ITEMS, items)):
            (folder / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        (folder / RESULTS).write_bytes(b"{}")
    return out


def test_the_same_items_are_paired_and_the_rest_is_left_out(tmp_path: Path) -> None:
    old = result(
        tmp_path / "old", {"a": True, "b": False, "c": True, "d": False, "only old": True}, {"x": 90, "y": 110}
    )
    new = result(tmp_path / "new", {"a": True, "b": True, "c": False, "d": True}, {"x": 80, "y": 100, "z": 5})
    bits, letters = compare(CompareConfig(results=(old, new))).differences
    assert (letters.old, letters.new) == (0.5, 0.75)
    assert (letters.won, letters.lost) == (("b", "d"), ("c",))
    assert letters.difference.mean == pytest.approx(0.25)
    assert letters.difference.stderr == pytest.approx(np.std([0, 1, -1, 1], ddof=1) / 2)
    assert letters.probability == 1.0  # two of three flips, or one of three: always
    assert (bits.old, bits.new) == (1.0, pytest.approx(0.9))
    assert bits.difference.stderr == pytest.approx(0.0, abs=1e-12)  # every document fell by the same


@pytest.mark.parametrize(("won", "lost", "expected"), [(0, 0, 1.0), (5, 0, 2 / 32), (1, 9, 2 * 11 / 1024), (4, 4, 1.0)])
def test_mcnemar_is_twice_the_binomial_tail(won: int, lost: int, expected: float) -> None:
    assert mcnemar(won, lost) == pytest.approx(expected)
    assert mcnemar(lost, won) == mcnemar(won, lost)


def test_mcnemar_of_many_flips_is_the_normal_one() -> None:
    won, lost = 5200, 4800
    assert mcnemar(won, lost) == pytest.approx(math.erfc((won - lost - 1) / math.sqrt(2 * (won + lost))), rel=0.01)


def test_what_can_be_detected_is_2_8_standard_errors() -> None:
    assert detectable(1.0) == pytest.approx(2.80, abs=0.005)


@given(st.integers(0, 1000))
def test_a_model_paired_with_itself_differs_by_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    bits, size = generator.random(20), generator.integers(1, 50, 20)
    same = paired_ratio(bits, size, bits, size, [str(n // 2) for n in range(20)])
    assert same is not None
    assert (same.mean, same.stderr) == (0.0, 0.0)


def test_the_paired_error_is_that_of_the_difference_where_lengths_are_equal() -> None:
    generator = np.random.default_rng(1)
    one, two = generator.random(50), generator.random(50)
    found = paired_ratio(one, np.ones(50), two, np.ones(50), [str(n) for n in range(50)])
    assert found is not None
    assert found.stderr == pytest.approx(np.std(two - one, ddof=1) / math.sqrt(50))


def test_drawing_groups_again_agrees_with_the_formulas() -> None:
    generator = np.random.default_rng(2)
    groups = [str(n // 4) for n in range(400)]
    effect = np.repeat(generator.random(100), 4)
    values, by = effect + 0.1 * generator.random(400), 1 + generator.random(400)
    clustered = clustered_mean(values, groups)
    assert clustered is not None
    assert bootstrapped(values, np.ones(400), groups, 4000) == pytest.approx(clustered.stderr, rel=0.1)
    alone = ratio(values, by)
    assert alone is not None
    assert bootstrapped(values, by, [str(n) for n in range(400)], 4000) == pytest.approx(alone.stderr, rel=0.1)


@pytest.mark.parametrize(
    ("difference", "stderr", "higher", "verdict"),
    [
        (0.02, 0.01, True, GO),
        (-0.10, 0.01, True, NO_GO),
        (-0.005, 0.02, True, INCONCLUSIVE),
        (0.30, 0.01, False, NO_GO),  # more bits are worse
        (-0.30, 0.01, False, GO),
        (0.0, None, True, INCONCLUSIVE),
    ],
)
def test_the_gate_looks_at_the_interval(difference: float, stderr: float | None, higher: bool, verdict: str) -> None:
    row = Difference("score", 1.0, 1.0 + difference, Estimate(difference, stderr, 100), higher)
    assert row.verdict(0.01) == verdict


def test_the_gate_ends_with_what_it_found(tmp_path: Path) -> None:
    names = [f"i{n}" for n in range(200)]
    old = result(tmp_path / "old", dict.fromkeys(names, True), {})
    worse = result(tmp_path / "worse", {name: n >= 60 for n, name in enumerate(names)}, {})
    few = result(tmp_path / "few", {"i0": False, "i1": True, "i2": True}, {})
    with pytest.raises(NoGo, match=r"NO-GO at a margin of 0\.01: mmlu letters") as no:
        list(comparison_tables(compare(CompareConfig(results=(old, worse), gate=True))))
    assert no.value.status == 1
    with pytest.raises(TooFewItems, match="INCONCLUSIVE") as unsure:
        list(comparison_tables(compare(CompareConfig(results=(old, few), gate=True))))
    assert unsure.value.status == 3
    shown = list(comparison_tables(compare(CompareConfig(results=(worse, old), gate=True))))
    assert "GO: no score fell" in shown[-1]
    assert any(line.startswith("+ mmlu letters  i0  What is i0?") for line in shown if isinstance(line, str))


def test_results_of_different_items_are_refused(tmp_path: Path) -> None:
    one, two = (result(tmp_path / name, {name: True}, {}) for name in ("a", "b"))
    with pytest.raises(UsageError, match="share no item or document"):
        compare(CompareConfig(results=(one, two)))
    with pytest.raises(UsageError, match="expected two, the old one and the new one"):
        CompareConfig(results=(one,))
