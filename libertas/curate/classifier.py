"""How much more a text is like some texts than like others: a linear model of hashed words and pairs of words.

The shape of fastText's classifier (Joulin et al. 2016, "Bag of tricks for efficient text classification"), with which
DCLM chose its documents (Li et al. 2024, section 4.4): the mean of the weights of all words and pairs of neighbours,
through a logistic function. Words are runs of letters and digits in lower case, every digit a zero; a punctuation mark,
the end of a line, and a character of a script without spaces is a word of its own.

Shapes: `n` characters, `w` words, `r` rows of the table, `d` documents, `f` features of documents one after another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint32]

CLASSIFIED_CHARACTERS = 50_000
"""Only so much of a text is looked at."""
LONGEST_WORD_LETTERS = 24
"""Later letters do not count."""
SPACE, LETTER, SINGLE = 0, 1, 2
"""What a character is: nothing, part of a word, or a word of its own."""
SINGLES = (
    (0x0A, 0x0B), (0x21, 0x30), (0x3A, 0x41), (0x5B, 0x61), (0x7B, 0x7F), (0xA1, 0xAA), (0xAB, 0xAD), (0xAE, 0xB5),
    (0xB6, 0xBA), (0xBB, 0xC0), (0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x2010, 0x2028),
    (0x2030, 0x205F), (0x20A0, 0x20D0), (0x2100, 0x2C00), (0x2E00, 0x3000), (0x3001, 0x3100), (0x31C0, 0xA000),
    (0xF900, 0xFB00), (0xFE10, 0xFE70), (0xFF01, 0xFFF0), (0x1F000, 0x20000), (0x20000, 0x40000),
)  # fmt: skip
"""Blocks of punctuation, symbols, and scripts without spaces: Thai, Lao, Tibetan, Myanmar, Khmer, Han, Kana."""
SPACES = (
    (0x00, 0x0A), (0x0B, 0x21), (0x7F, 0xA1), (0xAD, 0xAE), (0x1680, 0x1681), (0x2000, 0x2010), (0x2028, 0x2030),
    (0x205F, 0x2070), (0x3000, 0x3001), (0xFEFF, 0xFF00),
)  # fmt: skip
SPREAD_32 = np.uint32(0x9E3779B1)
"""2^32 over the golden ratio, made prime (Knuth, The Art of Computer Programming 3, 6.4)."""

EPOCHS = 10
BATCH_DOCUMENTS = 64
LEARNING_RATE = 0.5
"""Of AdaGrad (Duchi et al. 2011), going down to nothing along a straight line."""
DAMPING = 1e-6
NEWTON_STEPS = 50
"""For the two numbers of Platt's calibration; a handful suffice."""


@dataclass(frozen=True)
class Classifier:
    """Weights; made by `train_classifier`."""

    weights: NDArray[np.float32]
    """Shape (r,), a power of two."""
    bias: float

    def probability(self, text: str) -> float:
        """That a text is one of the positive ones, where those are as many as the others."""
        logit = self.logit(classified_words(text, len(self.weights)))
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, logit))))

    def logit(self, rows: Rows) -> float:
        """Mean weight of a text's words and pairs, and the bias."""
        return self.bias + (float(self.weights[rows].mean(dtype=np.float64)) if len(rows) else 0.0)


def _classes() -> NDArray[np.uint8]:
    classes = np.full(0x110000, LETTER, np.uint8)
    for kind, ranges in ((SINGLE, SINGLES), (SPACE, SPACES)):
        for first, last in ranges:
            classes[first:last] = kind
    return classes


_CLASSES = _classes()
_FACTORS = np.cumprod(np.full(LONGEST_WORD_LETTERS + 1, SPREAD_32, np.uint32), dtype=np.uint32)
_FACTORS[LONGEST_WORD_LETTERS] = 0


def classified_words(text: str, rows: int) -> Rows:
    """Rows of a text's words and pairs of neighbours; shape (2 w - 1,), or none."""
    codes = np.frombuffer(text[:CLASSIFIED_CHARACTERS].lower().encode("utf-32-le", "replace"), np.uint32)
    kinds = _CLASSES[codes]
    begins = kinds == SINGLE
    begins[:1] |= kinds[:1] == LETTER
    begins[1:] |= (kinds[1:] == LETTER) & (kinds[:-1] != LETTER)
    starts_w = np.flatnonzero(begins)
    if not len(starts_w):
        return np.empty(0, np.uint32)
    digits = codes - np.uint32(ord("0")) < 10
    letters = np.where(digits, np.uint32(ord("0")), codes) * (kinds != SPACE)
    place = np.arange(len(codes)) - np.repeat(
        np.append(0, starts_w), np.diff(np.concatenate([[0], starts_w, [len(codes)]]))
    )
    hashed = letters * _FACTORS[np.minimum(place, LONGEST_WORD_LETTERS)]
    words_w = np.add.reduceat(hashed, starts_w, dtype=np.uint32)
    words_w ^= words_w >> np.uint32(15)
    pairs = words_w[:-1] * SPREAD_32 + words_w[1:]
    shift = np.uint32(33 - rows.bit_length())
    return np.concatenate([words_w, pairs ^ pairs >> np.uint32(13)]) * SPREAD_32 >> shift


def train_classifier(documents: Sequence[Rows], positive: NDArray[np.bool_], rows: int, seed: int) -> Classifier:
    """Weights by stochastic gradients of the logistic loss; both classes count the same.

    Args:
        documents: `classified_words` of each; shape (d,).
        positive: which of them are; shape (d,).
        rows: of the table.
        seed: of the order in which they are seen.
    """
    weights, squares = np.zeros(rows, np.float64), np.full(rows, DAMPING)
    bias, bias_squares = 0.0, DAMPING
    share = positive.mean()
    importance_d = np.where(positive, 0.5 / share, 0.5 / (1 - share))
    order = np.random.default_rng(seed)
    steps = EPOCHS * -(-len(documents) // BATCH_DOCUMENTS)
    step = 0
    for _ in range(EPOCHS):
        shuffled = order.permutation(len(documents))
        for at in range(0, len(documents), BATCH_DOCUMENTS):
            batch = shuffled[at : at + BATCH_DOCUMENTS]
            features_f = np.concatenate([documents[d] for d in batch])
            lengths = np.array([len(documents[d]) for d in batch])
            means = _means(weights[features_f], lengths)
            errors = (1 / (1 + np.exp(-means - bias)) - positive[batch]) * importance_d[batch]
            touched, inverse = np.unique(features_f, return_inverse=True)
            gradient = np.bincount(inverse, np.repeat(errors / np.maximum(lengths, 1), lengths), len(touched))
            rate = LEARNING_RATE * (1 - step / steps)
            squares[touched] += gradient**2
            weights[touched] -= rate * gradient / np.sqrt(squares[touched])
            bias_squares += errors.sum() ** 2
            bias -= rate * errors.sum() / math.sqrt(bias_squares)
            step += 1
    return Classifier(weights.astype(np.float32), float(bias))


def _means(values_f: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of each document's values; 0 where it has none."""
    ends = np.cumsum(lengths)
    sums = np.concatenate([[0.0], np.cumsum(values_f)])
    means: NDArray[np.float64] = (sums[ends] - sums[ends - lengths]) / np.maximum(lengths, 1)
    return means


def calibrated(model: Classifier, logits: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[Classifier, float]:
    """The model with its logits stretched and moved so that they are true for documents it has not seen (Platt 1999).

    It never turns a model round: if the negative ones score higher, the slope is 0 and every probability one half.

    Args:
        model: uncalibrated.
        logits: of held-out documents; shape (d,).
        positive: which of them are; both classes count the same.

    Returns:
        The model and the slope, at least 0.
    """
    smooth = np.where(positive, (positive.sum() + 1) / (positive.sum() + 2), 1 / ((~positive).sum() + 2))
    importance = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    inputs = np.stack([logits, np.ones_like(logits)])
    at = np.array([1.0, 0.0])
    for _ in range(NEWTON_STEPS):
        chances = 1 / (1 + np.exp(-np.clip(at @ inputs, -500, 500)))
        gradient = inputs @ (importance * (chances - smooth)) + 1e-6 * (at - [1, 0])
        curvature = (inputs * (importance * chances * (1 - chances))) @ inputs.T + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        at -= step * min(1.0, 1.0 / max(1e-12, float(np.abs(step).max())))
    slope, shift = map(float, at if at[0] > 0 else np.zeros(2))
    return Classifier((model.weights * slope).astype(np.float32), model.bias * slope + shift), slope


def area_under_curve(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Chance that a positive scores above a negative, ties counting half (the statistic of Mann and Whitney)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.sum() / 2 / len(positive) / len(negative))
