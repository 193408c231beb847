"""Bits per byte: what a model would need to write down each held-out document, rolling over it window by window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libertas.evaluate.score import Request, score
from libertas.model.transformer import Model

WINDOW_POLICY = (
    "each document alone, after one end-of-text token; windows of the model's context that advance by half of it; each "
    "token of the text predicted exactly once, in the first window that reaches it, so after the first window with at "
    "least half a context before it; the closing end-of-text token is not predicted"
)
"""Stated beside every number. lm-eval's rolling windows are disjoint, and the Pile paper's overlap by half as ours."""


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a sequence: tokens `start` to `stop`, of which those from `first` on are predicted."""

    start: int
    first: int
    stop: int


def windows(length: int, context: int) -> list[Window]:
    """Windows over a sequence of `length` tokens whose first one (end of text) is only read, never predicted.

    A window reads at most `context` tokens, all of its own but the last.
    """
    stride = max(1, context // 2)
    found, first, start = [], 1, 0
    while first < length:
        stop = min(length, start + context + 1)
        found.append(Window(start, first, stop))
        first, start = stop, start + stride
    return found


def document_log_probabilities(
    model: Model, documents: Sequence[NDArray[np.integer]], end_of_text: int
) -> list[NDArray[np.float64]]:
    """Natural-log probability of every token of every document; documents are tokens without end-of-text."""
    requests, owner = [], []
    for number, tokens in enumerate(documents):
        sequence = (end_of_text, *tokens.tolist())
        for window in windows(len(sequence), model.config.context):
            requests.append(Request(sequence[window.start : window.stop], window.stop - window.first))
            owner.append(number)
    pieces: list[list[NDArray[np.float64]]] = [[] for _ in documents]
    for number, found in zip(owner, score(model, requests, "bits per byte"), strict=True):
        pieces[number].append(found.log_probabilities)
    results = [np.concatenate(p) if p else np.zeros(0) for p in pieces]
    assert all(len(r) == len(d) for r, d in zip(results, documents, strict=True)), "a token was not predicted once"
    return results
