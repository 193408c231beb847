"""Models on the same items: differences by hand, flips in words, and a gate that says when it cannot tell."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from making import printed

from libertas.errors import BrokenLineage, UsageError
from libertas.evaluate.compare import GO, INCONCLUSIVE, NO_GO, Difference, NoGo, TooFewItems, compare
from libertas.evaluate.compare_tables import comparison_tables
from libertas.evaluate.config import CompareConfig
from libertas.evaluate.result import ITEMS, RECORDS, RESULTS
from libertas.evaluate.sensitivity.report import SENSITIVITY
from libertas.evaluate.statistics import Estimate
from libertas.lineage.artifact import Draft

CHOICES = ["red", "green", "blue"]


def result(
    out: Path,
    right: Mapping[str, bool],
    bits: Mapping[str, float],
    run: Path | None = None,
    weights: str = "",
    passage: str = "",
    cells: Mapping[str, str] | None = None,
) -> Path:
    """A result with these answers, and these bits for documents of 100 bytes each; the right choice is green.

    `cells`: of a sensitivity report, which of the items are right, as ones and zeros, by protocol.
    """
    inputs = {"run": [run]} if run else {}
    config = CompareConfig(results=(out, out / "other"))
    draft = Draft(kind="result", out=out, config=config, inputs=inputs, code="libertas.corpus")
    with draft.build() as folder:
        answers: list[dict[str, Any]] = [
            {"task": "mmlu", "protocol": "letters", "item": item, "group": item, "correct": correct}
            | {"chosen": 1 if correct else 2, "gold": 1, "log_probabilities": [math.log(p) for p in (0.2, 0.1, 0.1)]}
            for item, correct in right.items()
        ]
        documents = [
            {"task": "bits_per_byte", "document": name, "bytes": 100, "log_probability": -value * math.log(2)}
            for name, value in bits.items()
        ]
        items = [
            {"task": "mmlu", "id": item, "question": f"What is {item}?", "passage": passage}
            | {"choices": CHOICES, "answer": "green"}
            for item in right
        ]
        for name, rows in ((RECORDS, [*answers, *documents]), (ITEMS, items)):
            (folder / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        (folder / RESULTS).write_bytes(orjson.dumps({"libertas": {"weights": weights}} if weights else {}))
        if cells is not None:
            fixed = {"normalization": "none", "wording": "plain", "shots": 0, "seed": 0, "order": 0}
            grid = [{"protocol": name, **fixed, "right": answers} for name, answers in cells.items()]
            names = [f"i{n}" for n in range(len(grid[0]["right"]))]
            task = {"items": names, "groups": names, "cells": grid}
            (folder / SENSITIVITY).write_bytes(orjson.dumps({"tasks": {"mmlu": task}}))
    return out


def shown(comparison: Any) -> str:
    return printed(comparison_tables(comparison))


def ids(flips: tuple[Any, ...]) -> list[str]:
    return [flip.item for flip in flips]


def test_the_same_items_are_paired_and_the_rest_is_left_out(tmp_path: Path) -> None:
    old = result(
        tmp_path / "old", {"a": True, "b": False, "c": True, "d": False, "only old": True}, {"x": 90, "y": 110}
    )
    new = result(tmp_path / "new", {"a": True, "b": True, "c": False, "d": True}, {"x": 80, "y": 100, "z": 5})
    found = compare(CompareConfig(results=(old, new)))
    bits, letters = found.differences
    assert found.left_out == 2
    assert (letters.old.mean, letters.new.mean) == (0.5, 0.75)
    assert (ids(letters.won), ids(letters.lost)) == (["b", "d"], ["c"])
    assert letters.difference.mean == pytest.approx(0.25)
    assert letters.difference.stderr == pytest.approx(np.std([0, 1, -1, 1], ddof=1) / 2)
    assert letters.probability == 1.0  # two of three flips, or one of three: always
    assert (bits.old.mean, bits.new.mean) == (1.0, pytest.approx(0.9))
    assert bits.difference.stderr == pytest.approx(0.0, abs=1e-12)  # every document fell by the same
    assert "left out: 2 records" in shown(found)


def test_a_flip_tells_what_was_asked_and_chosen_and_how_sure_both_were(tmp_path: Path) -> None:
    old = result(tmp_path / "old", {"a": True, "b": False}, {})
    new = result(tmp_path / "new", {"a": False, "b": True}, {})
    (letters,) = compare(CompareConfig(results=(old, new))).differences
    (won,), (lost,) = letters.won, letters.lost
    assert (won.asked, won.right, won.old, won.new) == ("What is b?", "green", "blue", "green")
    assert (lost.old, lost.new) == ("green", "blue")
    assert won.old_probability == pytest.approx(0.25)  # 0.1 of 0.2 + 0.1 + 0.1
    text = shown(compare(CompareConfig(results=(old, new))))
    assert "+ b: What is b?" in text
    assert "right 25% -> 25%: green" in text
    assert "old: blue" in text


def test_all_of_it_is_written_as_json(tmp_path: Path) -> None:
    old = result(tmp_path / "old", {f"i{n}": n < 9 for n in range(10)}, {"x": 90})
    new = result(tmp_path / "new", {f"i{n}": n > 0 for n in range(10)}, {"x": 80}, weights="b3:00")
    compare(CompareConfig(results=(old, new), out=tmp_path / "far" / "compared.json", flips=0))
    told = orjson.loads((tmp_path / "far" / "compared.json").read_bytes())
    assert [one["weights"] for one in told["results"]] == [None, "b3:00"]
    bits, letters = told["scores"]
    assert (bits["score"], bits["verdict"], bits["difference"]["interval"]) == ("bits_per_byte", INCONCLUSIVE, None)
    assert (letters["won"][0]["item"], letters["lost"][0]["item"]) == ("i9", "i0")
    assert letters["mcnemar"] == 1.0


def test_many_results_are_compared_with_the_first_on_the_items_that_all_have(tmp_path: Path) -> None:
    names = [f"i{n}" for n in range(20)]
    first = result(tmp_path / "first", dict.fromkeys(names, True), {"x": 90, "y": 100})
    half = result(tmp_path / "half", {name: n % 2 == 0 for n, name in enumerate(names)}, {"x": 90, "y": 100})
    short = result(tmp_path / "short", dict.fromkeys(names[:10], False), {"x": 45, "y": 50})
    found = compare(CompareConfig(results=(first, half, short), flips=1))
    assert [(row.name, row.result.name) for row in found.differences] == [
        ("bits_per_byte", "half"),
        ("bits_per_byte", "short"),
        ("mmlu letters", "half"),
        ("mmlu letters", "short"),
    ]
    assert [row.difference.n for row in found.differences] == [2, 2, 10, 10]
    assert [row.difference.mean for row in found.differences] == pytest.approx([0.0, -0.475, -0.5, -1.0])
    text = shown(found)
    for words in (
        "all against the first",
        "-50.0 ±16.7",
        "-0.475",
        "mmlu letters, half: 0 won, 5 lost; p 0.062",
        "- i1: What is i1?",
    ):
        assert words in text
    with pytest.raises(NoGo, match=r"mmlu letters \(.*half\), mmlu letters \(.*short\)"):
        list(comparison_tables(compare(CompareConfig(results=(first, half, short), gate=True))))


def test_models_that_change_places_between_protocols_are_named_with_both_leads(tmp_path: Path) -> None:
    ahead, behind = "1" * 30 + "0" * 10, "0" * 28 + "1" * 12
    old = result(tmp_path / "old", {"a": True}, {}, cells={"letters": ahead, "text": behind})
    new = result(tmp_path / "new", {"a": True}, {}, cells={"letters": behind, "text": ahead})
    text = shown(compare(CompareConfig(results=(old, new))))
    assert "beyond noise" in text
    assert "mmlu: old leads by 45.0 ±" in text
    assert "under letters/none, plain, 0 examples" in text
    assert "mmlu: new leads by 45.0 ±" in text
    assert "-1.00" in text  # Kendall's tau: the order of two models is turned round
    assert compare(CompareConfig(results=(old, result(tmp_path / "bare", {"a": True}, {})))).ranks is None


def test_several_samples_of_an_answer_count_by_the_share_that_is_right(tmp_path: Path) -> None:
    paths = [result(tmp_path / name, {"a": True, "b": False, "c": False}, {}) for name in ("old", "new")]
    for path, rights in zip(paths, ([1, 0, 0, 1], [1, 1, 0, 1]), strict=True):
        _rewrite(
            path, [{"written": ["word", "other"], "right": [bool(r), False], "log_probabilities": None} for r in rights]
        )
    (row,) = compare(CompareConfig(results=tuple(paths))).differences
    assert row.difference.mean == pytest.approx(0.5 / 3)
    assert (ids(row.won), row.probability) == (["b"], None)
    assert (row.won[0].new, row.won[0].new_probability) == ("word", None)


def _rewrite(path: Path, changes: list[dict[str, Any]]) -> None:
    """The same result with other records; the manifest is made anew."""
    rows = [orjson.loads(line) for line in (path / RECORDS).read_bytes().splitlines()]
    items, scores = (path / ITEMS).read_bytes(), (path / RESULTS).read_bytes()
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    config = CompareConfig(results=(path, path / "other"))
    draft = Draft(kind="result", out=path, config=config, inputs={}, code="libertas.corpus")
    with draft.build() as folder:
        (folder / ITEMS).write_bytes(items)
        (folder / RESULTS).write_bytes(scores)
        told = [row | change for row, change in zip(rows, changes, strict=False)]
        (folder / RECORDS).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in told))


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
    old, new, change = (Estimate(value, stderr, 100) for value in (1.0, 1.0 + difference, difference))
    assert Difference("score", old, new, change, higher, Path("new")).verdict(0.01) == verdict


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
    assert "GO: no score fell" in shown(compare(CompareConfig(results=(worse, old), gate=True)))


def test_three_items_without_a_change_are_inconclusive(tmp_path: Path) -> None:
    one, two = (result(tmp_path / name, dict.fromkeys("abc", True), {}) for name in ("one", "two"))
    (row,) = compare(CompareConfig(results=(one, two))).differences
    assert row.verdict(0.01) == INCONCLUSIVE


def test_results_of_different_items_are_refused(tmp_path: Path) -> None:
    one, two = (result(tmp_path / name, {name: True}, {}) for name in ("a", "b"))
    with pytest.raises(UsageError, match="share no item or document"):
        compare(CompareConfig(results=(one, two)))
    other = result(tmp_path / "c", {"a": True}, {}, passage="Another one.")
    with pytest.raises(UsageError, match=r"item a of mmlu is another question in .*c than in .*a;"):
        compare(CompareConfig(results=(one, other)))


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UsageError, match="expected two or more, the old one first"):
        CompareConfig(results=(Path("one"),))
    with pytest.raises(UsageError, match="names one result twice"):
        CompareConfig(results=(Path("one"), Path("one")))
    with pytest.raises(UsageError, match=r"margin is 1\.5"):
        CompareConfig(results=(Path("one"), Path("two")), margin=1.5)


def run_with(out: Path, weights: str) -> Path:
    """What lies where a run was, with the hash of its weights."""
    draft = Draft(
        kind="run", out=out, config=CompareConfig(results=(out, out / "x")), inputs={}, code="libertas.corpus"
    )
    with draft.build() as folder:
        (folder / "file").write_text(weights)
        draft.counts["weights"] = weights
    return out


def test_a_result_of_other_weights_than_its_run_holds_is_refused_in_one_line(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", "b3:aaaa")
    fine = result(tmp_path / "fine", {"a": True}, {}, run=run, weights="b3:aaaa")
    foreign = result(tmp_path / "foreign", {"a": True}, {}, run=run, weights="b3:bbbb")
    with pytest.raises(BrokenLineage, match=r"foreign scored the weights b3:bbbb…, but .*run holds b3:aaaa…; evaluate"):
        compare(CompareConfig(results=(fine, foreign)))
    other = result(tmp_path / "other", {"a": True}, {}, weights="b3:cccc")  # of a run that lies elsewhere
    assert compare(CompareConfig(results=(fine, other))).differences[0].difference.n == 1


def test_a_result_that_was_changed_is_refused(tmp_path: Path) -> None:
    one, two = (result(tmp_path / name, {"a": True}, {}) for name in ("one", "two"))
    (two / RECORDS).write_bytes((two / RECORDS).read_bytes().replace(b"true", b"TRUE"))
    with pytest.raises(BrokenLineage, match="content differs"):
        compare(CompareConfig(results=(one, two)))


def test_words_of_a_data_set_are_no_markup_and_no_escapes(tmp_path: Path) -> None:
    one, two = (result(tmp_path / name, {"[/b]\x1b[31m": name == "a"}, {}) for name in ("a", "b"))
    text = shown(compare(CompareConfig(results=(one, two))))
    assert "[/b]\ufffd[31m" in text
    assert "\x1b" not in text
