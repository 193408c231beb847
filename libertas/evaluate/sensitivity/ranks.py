"""Whether models keep their order when they are asked otherwise: rank correlation between cells, and rank flips."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from libertas.errors import UsageError
from libertas.evaluate.sensitivity.grid import GridCell
from libertas.evaluate.sensitivity.variance import deviations
from libertas.evaluate.statistics import mcnemar

LEVEL = 0.05
"""Of the two-sided test whether a difference is beyond noise, shared by all cells of a grid (Bonferroni)."""


def kendall_tau(one: ArrayLike, two: ArrayLike) -> float | None:
    """Kendall's tau-b (1945) between two lists of scores; None where all scores of one list are equal."""
    tau = _taus(np.stack([np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)]))[0, 1]
    return None if np.isnan(tau) else float(tau)


def _taus(scores_KM: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tau-b between rows: agreeing less disagreeing pairs, over the geometric mean of the pairs not tied in each."""
    first, second = np.triu_indices(scores_KM.shape[1], 1)
    signs_KP = np.sign(scores_KM[:, first] - scores_KM[:, second])
    untied_K = (signs_KP**2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        taus: NDArray[np.float64] = signs_KP @ signs_KP.T / np.sqrt(np.outer(untied_K, untied_K))
    return taus


def rank_stability(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How stable the order of models is over the cells that all have, task by task.

    For each task: the mean and the lowest of Kendall's tau-b over all pairs of cells (None where no pair has one), and
    for each pair of models in how many cells the first is ahead, behind or level; the cell where each of them is
    furthest ahead, measured in errors of the paired difference; and whether that is a rank flip: both lead somewhere.
    A flip is `beyond_noise` only if both leads are, at a level shared by all cells.

    Args:
        reports: content of `sensitivity.json`, by model.

    Raises:
        UsageError: fewer than two models, or no task, cell or item in common.
    """
    if len(reports) < 2:
        raise UsageError(f"{len(reports)} sensitivity reports are given; expected two or more to rank models")
    first, *others = (report["tasks"] for report in reports.values())
    shared = [name for name in first if all(name in tasks for tasks in others)]
    found = {name: _task_ranks({model: r["tasks"][name] for model, r in reports.items()}) for name in shared}
    if not any(found.values()):
        raise UsageError(
            f"{', '.join(reports)} share no task, cell and item; expected the same tasks, with --sensitivity"
        )
    return {name: ranks for name, ranks in found.items() if ranks}


def _task_ranks(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    by_cell = {model: {_key(row): row["right"] for row in task["cells"]} for model, task in tasks.items()}
    first = next(iter(tasks))
    keys = [key for key in by_cell[first] if all(key in own for own in by_cell.values())]
    places = {model: {item: number for number, item in enumerate(task["items"])} for model, task in tasks.items()}
    items = [item for item in places[first] if all(item in own for own in places.values())]
    if not keys or not items:
        return {}
    right = {
        model: np.array([[own[key][places[model][item]] == "1" for key in keys] for item in items], dtype=np.float64)
        for model, own in by_cell.items()
    }
    groups = [tasks[first]["groups"][places[first][item]] for item in items]
    taus = _taus(np.stack([right_NK.mean(0) for right_NK in right.values()], axis=1))[np.triu_indices(len(keys), 1)]
    known = taus[~np.isnan(taus)]
    pairs = [
        {"models": [one, two], **_pair(right[one] - right[two], groups, keys)} for one, two in combinations(right, 2)
    ]
    return {
        "cells": len(keys),
        "items": len(items),
        "tau_mean": float(known.mean()) if len(known) else None,
        "tau_lowest": float(known.min()) if len(known) else None,
        "pairs": pairs,
    }


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in GridCell.__dataclass_fields__)


def _pair(difference_NK: NDArray[np.float64], groups: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Two models: where each leads, by the paired difference of their answers and its clustered error.

    A lead is beyond noise if it is so by its error and by McNemar's exact test, which few items cannot pass.
    """
    means_K, errors_K = difference_NK.mean(0), np.sqrt((deviations(difference_NK, groups) ** 2).sum(0))
    if len(set(groups)) < 2:
        errors_K = np.full_like(errors_K, np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios_K = np.nan_to_num(means_K / errors_K, nan=0.0)
    needed = NormalDist().inv_cdf(1 - LEVEL / 2 / len(keys))

    def lead(sign: int) -> dict[str, Any] | None:
        number = max(range(len(keys)), key=lambda place: (sign * ratios_K[place], sign * means_K[place]))
        if means_K[number] * sign <= 0:
            return None
        error, one = float(errors_K[number]), difference_NK[:, number]
        chance = mcnemar(int((one > 0).sum()), int((one < 0).sum()))
        return {
            "cell": dict(zip(GridCell.__dataclass_fields__, keys[number], strict=True)),
            "difference": float(means_K[number]),
            "stderr": error if math.isfinite(error) else None,
            "beyond_noise": bool(sign * ratios_K[number] > needed and chance < LEVEL / len(keys)),
        }

    ahead, behind = lead(1), lead(-1)
    return {
        "ahead": int((means_K > 0).sum()),
        "behind": int((means_K < 0).sum()),
        "level": int((means_K == 0).sum()),
        "most_ahead": ahead,
        "most_behind": behind,
        "flips": ahead is not None and behind is not None,
        "beyond_noise": bool(ahead and behind and ahead["beyond_noise"] and behind["beyond_noise"]),
    }
