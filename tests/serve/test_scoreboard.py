"""The scores on a report: every task with its leaks beside it, with or without held-out documents."""

from types import SimpleNamespace
from typing import Any

from libertas.serve.scoreboard import scoreboard


def estimate(mean: float, n: int = 10) -> dict[str, Any]:
    return {"mean": mean, "stderr": 0.02, "n": n}


HIT = {"text": "Which\n<b>?", "url": "urn:exam", "document": "d7", "step": 12}
LEAKS = {
    "measured": True,
    "reason": "",
    "documents": 170,
    "tasks": {
        "quiz": {
            "classes": {"clean": 6, "question and answer": 4, "templated": 0},
            "protocols": [{"protocol": "letters", "clean": estimate(0.25, 6), "leaked": estimate(1.0, 4)}],
            "hits": [{"item": "q1", "class": "question and answer", "hit": HIT}],
        }
    },
}
NOTHING: dict[str, Any] = {"items": 0, "protocols": [], "spread": 0}


def page(tasks: dict[str, Any], leaks: dict[str, Any]) -> str:
    scores = {"bits_per_byte": [], "continuation": NOTHING, "tasks": tasks, "leaks": leaks, "policies": {}}
    return str(scoreboard(SimpleNamespace(scores=scores)))  # type: ignore[arg-type]


def test_a_task_stands_with_its_clean_and_leaked_items_and_with_what_leaked() -> None:
    rows = [{"protocol": "letters", "accuracy": estimate(0.55), "chance": 0.25}]
    said = page({"quiz": {"items": 10, "protocols": rows, "spread": 0}}, LEAKS)
    assert "quiz: 10 questions, 55 % right" in said
    assert "25.0<small> ±2.0</small><small> (6)</small>" in said
    assert "100.0<small> ±2.0</small><small> (4)</small>" in said
    assert "Looked up word for word in 170 training documents: 6 clean, 4 question and answer." in said
    assert "“Which &lt;b&gt;?” urn:exam, first read at step 12." in said
    assert "No multiple-choice questions" not in said


def test_what_was_not_measured_and_not_asked_is_said() -> None:
    rows = [{"protocol": "text", "accuracy": estimate(0.5), "chance": 0.5}]
    task = {"items": 2, "protocols": rows, "spread": 0}
    off = {"measured": False, "reason": "turned off", "documents": 0, "tasks": {}}
    assert "stand in training was not measured: turned off." in page({"quiz": task}, off)
    assert "No multiple-choice questions were asked." in page({}, off)
