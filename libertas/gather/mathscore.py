"""How likely a text is mathematical prose, judged by its words and never by its formulas.

The MathScore of OpenWebMath (Paster et al. 2023, "OpenWebMath: an open dataset of high-quality mathematical web text",
section 3.2) is a linear text classifier that tells documents with popular LaTeX commands from others after the formulas
are taken out; it was never released. This one has the same task, on words and pairs of words hashed into one table of
weights, which `scripts/train_math_score.py` makes.

Shapes: `W` words, `H` rows of the table.
"""

import math
import re
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from libertas.document import Drop
from libertas.gather.ngrams import MULTIPLIER, letters
from libertas.gather.weights import stored_weights

MATH_MODEL = Path(__file__).parent / "models" / "math.safetensors"
MATH_MODEL_BLAKE3 = "b770a11543c2f6314b2b7da56e155d6f8153a784a43a72f721a10c323d2dd504"
"""Digest of the model's file: the weights decide which documents a corpus has, so they are part of the code."""
ROWS_BITS = 15
"""A word or pair of words is a row of a table of two to this power."""
SCORED_CHARACTERS = 50_000
"""Only so much of a text is looked at."""
FORMULA = re.compile(
    r"\$\$[^$]*+\$\$|\$[^$\n]*+\$|\\\((?:[^\\$\n]|\\[^()]){0,999}+\\\)|\\\[(?:[^\\$]|\\[^\[\]]){0,999}+\\\]"
    r"|\\[A-Za-z]++|[{}\\^_]"
)
"""Formulas between dollars or backslashed brackets, and what remains of TeX outside them. A dollar is looked for no
further than the next one, a bracket within a thousand characters, so the time is linear."""
LONGEST_WORD = 24
"""Letters of a word that count."""
FEWEST_WORDS = 5
"""Fewer say nothing: the score is that of a text without a word about mathematics."""
WITH_FORMULAS = 0.17
"""Least score of a page on which formulas were found. OpenWebMath asks 0.15 when it extracts and this in the end."""
WITHOUT_FORMULAS = 0.8
"""Least score of a page without formulas."""
SHORTEST_MATH = 100
"""Characters."""
MOST_ACCENTED = 0.015
"""Share of characters that are accented Latin letters; OpenWebMath is English, and what has more is something else."""
ACCENTED = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f]")
RULE = "math"


def math_score(text: str) -> float:
    """Probability, 0 to 1, that a text is mathematical prose; its formulas are not looked at."""
    rows = hashed_words(text)
    if len(rows) < FEWEST_WORDS:
        return 0.0
    weights_H, bias = _weights()
    return 1 / (1 + math.exp(-float(weights_H.take(rows).mean()) - bias))


def is_mathematical(text: str, formulas: int, score: float) -> Drop | None:
    """Why OpenWebMath would not take a document, or None; that it is in English is for the caller to see to.

    Args:
        text: The document's.
        formulas: How many were found on the page.
        score: Its `math_score`.
    """
    if len(text) < SHORTEST_MATH:
        return Drop(RULE, "too few characters", len(text))
    accented = len(ACCENTED.findall(text)) / len(text)
    if accented > MOST_ACCENTED:
        return Drop(RULE, "too many accented letters", round(accented, 4))
    if score < (WITH_FORMULAS if formulas else WITHOUT_FORMULAS):
        return Drop(RULE, "not mathematical", round(score, 4))
    return None


def hashed_words(text: str) -> NDArray[np.uint32]:
    """Rows of the words of two letters or more, and of each two in a row; formulas and numbers are taken out first."""
    codes, kinds = letters(FORMULA.sub(" ", text[:SCORED_CHARACTERS]))
    inside = np.concatenate([[False], kinds > 0, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts_W, ends_W = edges[::2], edges[1::2]
    if len(starts_W) == 0:
        return np.empty(0, np.uint32)
    place = np.arange(len(codes)) - np.repeat(
        np.append(0, starts_W), np.diff(np.concatenate([[0], starts_W, [len(codes)]]))
    )
    mixed = codes * _powers()[np.minimum(place, LONGEST_WORD)]
    words_W = np.add.reduceat(mixed, starts_W, dtype=np.uint32)[ends_W - starts_W > 1]
    pairs = words_W[:-1] * MULTIPLIER + words_W[1:]
    return (np.concatenate([words_W, pairs]) * MULTIPLIER) >> np.uint32(32 - ROWS_BITS)


@cache
def _powers() -> NDArray[np.uint32]:
    """One odd factor for each place in a word; beyond the longest, letters count nothing."""
    factors = np.cumprod(np.full(LONGEST_WORD + 1, MULTIPLIER | np.uint32(1), np.uint32), dtype=np.uint32)
    factors[LONGEST_WORD] = 0
    return factors


@cache
def _weights() -> tuple[NDArray[np.float32], float]:
    tensors, about = stored_weights(MATH_MODEL, MATH_MODEL_BLAKE3)
    return tensors["weights"], float(about["bias"])
