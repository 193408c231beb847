"""The sensitivity report: how far the score of one model on one task moves with the way of asking, and why.

`sensitivity.json` has, under `tasks`, for each task: `items` and `groups` (ids, in order); `chance` and `majority`;
`requests` and `tokens` (what was scored, and the distinct tokens that the model read for it); `cells`, each with its
factors, `mean`, `stderr`, `n`, `interval`, `truncated`, `token_spans_join`, `prompt` (a number in `prompts`: the words
before the first item's answer) and `right` (a character per item, 1 where it was answered rightly); `lowest` and
`highest` (numbers of cells) and `spread`; `noise` (`libertas.evaluate.sensitivity.variance.Noise`); `effects`, the
variance by factor; `places`, the bias to a place among the choices by protocol; `calibration` by reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table
from tokenizers import Tokenizer

from libertas.evaluate.answer import Arrangement, Choice, answer_arranged, first_prompt
from libertas.evaluate.chat import Prompting
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.item import Item
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.score import Request
from libertas.evaluate.sensitivity.choices import calibration, confidence, place_bias
from libertas.evaluate.sensitivity.grid import AS_PUBLISHED, GridCell, grid_for
from libertas.evaluate.sensitivity.variance import effects, noise_of
from libertas.evaluate.statistics import clustered_share
from libertas.evaluate.tables import estimate_text, narrow_table
from libertas.evaluate.task import Task
from libertas.evaluate.trie import shared_tokens
from libertas.model.transformer import Model
from libertas.terminal import say

SENSITIVITY, SENSITIVITY_PAGE = "sensitivity.json", "sensitivity.html"
SCHEMA = 1
"""Raised when `sensitivity.json` changes its meaning."""

Answered = list[tuple[GridCell, list[Choice]]]


def sensitivity_report(
    model: Model, tokenizer: Tokenizer, prompting: Prompting, tasks: Sequence[Task], config: EvaluateConfig
) -> dict[str, Any]:
    """Content of `sensitivity.json`; tasks without items, and those whose answers are written, are left out.

    Items that cannot be asked in some cell are left out of all (`refused` says why), so that cells have the same items.
    """
    asked = [task for task in tasks if task.items and all(item.choices for item in task.items)]
    found = {task.name: _task_report(model, tokenizer, prompting, task, config) for task in asked}
    return {"schema": SCHEMA, "tasks": {name: told for name, told in found.items() if told}}


def _task_report(
    model: Model, tokenizer: Tokenizer, prompting: Prompting, task: Task, config: EvaluateConfig
) -> dict[str, Any]:
    asking = config.asking.resolved(prompting.usual)
    task = task.limited(config.sensitivity_items)
    sizes = config.sensitivity_shots, config.sensitivity_seeds, config.sensitivity_orders
    grid = grid_for(task, *sizes, protocols=config.sensitivity_protocols)
    plan = list(grid.arranged(task.items, task.pool, asking))
    told: dict[str, int] = {}

    def tell(requests: Sequence[Request]) -> None:
        told.update(requests=len(requests), tokens=distinct_tokens(requests))
        cells = sum(len(own) for _, own in plan)
        say(
            f"{escape(task.name)}: a grid of {cells:,} cells over {len(task.items):,} items, {told['requests']:,} "
            f"choices to score, {told['tokens']:,} distinct tokens to read"
        )

    refused: list[str] = []
    arrangements = [arrangement for arrangement, _ in plan]
    answers = answer_arranged(
        model,
        tokenizer,
        arrangements,
        f"{task.name}: grid",
        blind=False,
        before=tell,
        prompting=prompting,
        refused=refused,
    )
    for line in _left_out(config, {count for count, _ in grid.examples}, refused):
        say(f"{escape(task.name)}: {escape(line)}")
    if not answers[0]:
        return {}
    found: Answered = []
    rows: list[dict[str, Any]] = []
    prompts: dict[str, int] = {}
    for (arrangement, cells), choices in zip(plan, answers, strict=True):
        for number, cell in enumerate(cells):
            own = choices[number :: len(cells)]
            found.append((cell, own))
            text = _first_prompt(arrangement, number, own[0].item, prompting)
            rows.append(_cell_row(cell, own, prompts.setdefault(text, len(prompts))))
    return {**_measured(found, rows), **told, "refused": refused, "cells": rows, "prompts": list(prompts)}


def _left_out(config: EvaluateConfig, asked: set[int], refused: Sequence[str]) -> Iterable[str]:
    """What was wanted of the grid and could not be had."""
    if missing := sorted({*config.sensitivity_shots} - asked):
        yield f"{', '.join(map(str, missing))} examples are left out of the grid; the task has none, or too few"
    if refused:
        yield f"{len(refused):,} items cannot be asked in every cell and are left out of the grid: {refused[0]}"


def distinct_tokens(requests: Sequence[Request]) -> int:
    """Tokens that are read where each distinct beginning of a request is read once."""
    texts = sorted({request.tokens[:-1] for request in requests})
    return sum(len(text) for text in texts) - int(shared_tokens(texts).sum())


def _first_prompt(arrangement: Arrangement, reading: int, item: Item, prompting: Prompting) -> str:
    return first_prompt([item], arrangement.readings[reading], arrangement.pool, arrangement.shots, prompting)


def _cell_row(cell: GridCell, choices: Sequence[Choice], prompt: int) -> dict[str, Any]:
    estimate = clustered_share([float(c.correct) for c in choices], [c.item.group for c in choices])
    assert estimate is not None, "a cell without an item"
    return {
        **asdict(cell),
        **estimate.to_json(),
        "truncated": sum(c.truncated for c in choices),
        "token_spans_join": sum(c.spanned for c in choices),
        "prompt": prompt,
        "right": "".join("01"[c.correct] for c in choices),
    }


def _measured(found: Answered, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the cells say together."""
    items = [choice.item for choice in found[0][1]]
    groups = [item.group for item in items]
    right_NK: NDArray[np.bool_] = np.array([[c.correct for c in choices] for _, choices in found]).T
    means = [row["mean"] for row in rows]
    crossed = [number for number, (cell, _) in enumerate(found) if not cell.published]
    parts = effects([found[number][0] for number in crossed], right_NK[:, crossed], groups) if crossed else []
    total = sum(part.squares for part in parts)
    golds = np.bincount([item.gold for item in items])
    return {
        "items": [item.id for item in items],
        "groups": groups,
        "chance": float(np.mean([1 / len(item.choices) for item in items])),
        "majority": float(golds.max() / len(items)),
        "lowest": int(np.argmin(means)),
        "highest": int(np.argmax(means)),
        "spread": max(means) - min(means),
        "noise": noise_of(right_NK, groups).to_json(),
        "effects": [part.to_json(total) for part in parts],
        "places": _places(found),
        "calibration": _calibrations(found),
    }


def _places(found: Answered) -> list[dict[str, Any]]:
    """By protocol that shows the choices, over all its cells that compare plain log-probabilities."""
    kept: dict[str, list[Choice]] = {}
    for cell, choices in found:
        if PROTOCOLS[cell.protocol].option and cell.normalization == "none":
            kept.setdefault(cell.protocol, []).extend(choices)
    return [
        {"protocol": name, **place_bias([c.chosen for c in choices], [c.item.gold for c in choices])}
        for name, choices in kept.items()
    ]


def _calibrations(found: Answered) -> list[dict[str, Any]]:
    """By protocol and normalization, over all their cells."""
    kept: dict[tuple[str, str], list[Choice]] = {}
    for cell, choices in found:
        kept.setdefault((cell.protocol, cell.normalization), []).extend(choices)
    return [
        {
            "protocol": protocol,
            "normalization": how,
            **calibration([confidence(c.scores) for c in choices], [c.correct for c in choices]),
        }
        for (protocol, how), choices in kept.items()
    ]


def sensitivity_summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """What `results.json` says of each task: extremes, noise, each protocol's range, and the variance by factor."""
    return {
        name: {
            "cells": len(task["cells"]),
            "items": len(task["items"]),
            "lowest": _named_cell(task["cells"][task["lowest"]]),
            "highest": _named_cell(task["cells"][task["highest"]]),
            **{key: task[key] for key in ("spread", "noise", "chance")},
            "protocols": protocol_ranges(task),
            "effects": {row["name"]: [row["share"], row["noise_share"]] for row in task["effects"]},
        }
        for name, task in report["tasks"].items()
    }


def _named_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in (*GridCell.__dataclass_fields__, "mean", "stderr", "n")}


def protocol_ranges(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lowest, middle and highest score of each protocol's cells, in the grid's order; `task` as in the report."""
    kept: dict[str, list[float]] = {}
    for row in task["cells"]:
        kept.setdefault(row["protocol"], []).append(row["mean"])
    published = {row["protocol"] for row in task["cells"] if row["wording"] == AS_PUBLISHED}
    return [
        {
            "protocol": name,
            "published": name in published,
            "cells": len(means),
            "low": min(means),
            "median": float(np.median(means)),
            "high": max(means),
        }
        for name, means in kept.items()
    ]


def sensitivity_tables(summary: Mapping[str, Any], page: str) -> Iterable[Table | str]:
    """For the terminal: a short table a task, and where the page is."""
    for name, task in summary.items():
        low, high = task["lowest"], task["highest"]
        main = [(share, noise, effect) for effect, (share, noise) in task["effects"].items() if " " not in effect]
        told = [f"{effect} {share:.0%} ({noise:.0%})" for share, noise, effect in sorted(main, reverse=True)]
        caption = "\n".join(
            [
                f"could have been reported: {_reported(low)}",
                f"to {_reported(high)}; noise alone, at one true score, "
                f"makes {100 * task['noise']['low']:.1f} to {100 * task['noise']['high']:.1f}",
                "of the variance between cells (in brackets what noise alone would make):",
                *(", ".join(told[start : start + 3]) for start in range(0, len(told), 3)),
            ]
        )
        title = f"{name}: {task['cells']:,} ways to ask {task['items']:,} questions, % right"
        table = narrow_table(title, caption, "protocol", ("cells", "lowest", "median", "highest"))
        for row in task["protocols"]:
            numbers = (f"{100 * row[key]:.1f}" for key in ("low", "median", "high"))
            table.add_row(row["protocol"], f"{row['cells']:,}", *numbers)
        yield table
    yield f"plots, every cell and its first prompt: {page}"


def _reported(cell: Mapping[str, Any]) -> str:
    return f"{estimate_text(dict(cell), 1, 100)} ({cell['protocol']}/{cell['normalization']})"
