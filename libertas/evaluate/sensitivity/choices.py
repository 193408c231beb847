"""How a model chooses: its preference for a place among the choices, and whether its confidence can be believed.

Sources: Zheng et al. 2023, "Large language models are not robust multiple choice selectors" (arXiv 2309.03882), for the
standard deviation of recalls; Guo et al. 2017, "On calibration of modern neural networks" (arXiv 1706.04599), for the
expected calibration error over bins of equal width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

BINS = 10
"""Of confidence, of equal width, each without its lower and with its upper end."""


def place_bias(chosen: Sequence[int], gold: Sequence[int]) -> dict[str, Any]:
    """How often each place is chosen and is right.

    `total_variation` is half the sum of the differences between both; `recall` the share of right answers among the
    items whose right choice stands at a place, and `recall_deviation` its (population) standard deviation over the
    places, RStd; `none` the share of items without a choice.
    """
    picked, right = np.asarray(chosen), np.asarray(gold)
    places = int(max(picked.max(), right.max())) + 1
    taken = np.bincount(picked[picked >= 0], minlength=places) / len(picked)
    golden = np.bincount(right, minlength=places) / len(right)
    none = float((picked < 0).mean())
    recalls = [
        float((picked[right == place] == place).mean()) if (right == place).any() else None for place in range(places)
    ]
    return {
        "n": len(picked),
        "chosen": taken.tolist(),
        "gold": golden.tolist(),
        "recall": recalls,
        "none": none,
        "total_variation": float(np.abs(taken - golden).sum() + none) / 2,
        "recall_deviation": float(np.std([recall for recall in recalls if recall is not None])),
    }


def confidence(scores: Sequence[float]) -> float:
    """Largest probability when the compared scores are taken as logits."""
    values = np.asarray(scores, dtype=np.float64)
    return float(1 / np.exp(values - values.max()).sum())


def calibration(confidences: ArrayLike, right: ArrayLike) -> dict[str, Any]:
    """Expected calibration error, and confidence and accuracy of each bin: the rows of a reliability diagram."""
    sure, correct = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    number = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(number, minlength=BINS)
    sums = [np.bincount(number, weights=values, minlength=BINS) for values in (sure, correct)]
    bins = [
        {
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "n": int(count),
            "confidence": float(sums[0][place] / count),
            "accuracy": float(sums[1][place] / count),
        }
        for place, count in enumerate(counts)
        if count
    ]
    error = float(np.abs(sums[0] - sums[1]).sum() / len(sure))
    return {"n": len(sure), "error": error, "confidence": float(sure.mean()), "bins": bins}
