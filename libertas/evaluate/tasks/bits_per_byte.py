"""Bits per byte: what a model would need to write down each held-out document, rolling over it window by window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libertas.evaluate.score import Request, score
from libertas.model.transformer import Model

WINDOW_POLICY = (
    "each document alone, after one end-of-text token that is read and not predicted, and is the only token we add; "
    "the first window predicts as many tokens as the model's context, each later one keeps half a context of those "
    "before it, and the last is as long as the others; each token of the text is predicted exactly once, the closing "
    "end-of-text token is not"
)
"""Stated beside every number; the windows of the code behind the Pile paper's (lm_perplexity, `context_len`)."""

CONVENTIONS = {
    "pile": (
        "Gao et al. 2020, section 3.1: (L_T / L_B) * loss / ln 2, with the loss a mean over the scored tokens (our "
        "windows) and L_T / L_B the tokens per byte of the whole component, here in training, of which the scored "
        "documents are a sample; components are added up by their bytes. The paper's own numbers are of a tenth of the "
        "test set, in GPT-2's tokens and its context of 1024 (GPT-3: 2048)"
    ),
    "lm_eval": (
        "lm-eval 0.4, `bits_per_byte` of `loglikelihood_rolling`: windows that keep one token of those before them, "
        "but for the last, which is as long as the others; summed over all documents, over the sum of their bytes; "
        "here after our end-of-text token. lm-eval's own backend begins with the tokenizer's beginning-of-text token "
        "if it has one, and where the tokenizer adds that itself, predicts it as well"
    ),
}
"""How the numbers of others are defined, by name."""

HARNESS_KEEPS = 1
"""Tokens of context that lm-eval's windows keep (`context_len=1`)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a sequence: tokens `start` to `stop`, of which those from `first` on are predicted."""

    start: int
    first: int
    stop: int


def windows(length: int, context: int, keep: int) -> list[Window]:
    """Windows over a sequence of `length` tokens whose first one (end of text) is only read, never predicted.

    The first predicts `context` tokens; each later one at most context - keep + 1, and reads `context` tokens, all of
    its own but the last. These are lm-eval's `get_rolling_token_windows` with a `context_len` of `keep`.
    """
    assert 1 <= keep <= context, f"windows of {context} tokens cannot keep {keep}"
    found, first, most = [], 1, context
    while first < length:
        stop = min(length, first + most)
        found.append(Window(max(0, stop - context - 1), first, stop))
        first, most = stop, context - keep + 1
    return found


def half_context(context: int) -> int:
    """Tokens that our windows keep."""
    return max(1, context // 2)


def rolling_log_probabilities(
    model: Model, documents: Sequence[NDArray[np.integer]], end_of_text: int, keeps: Sequence[int]
) -> list[list[NDArray[np.float64]]]:
    """Natural-log probability of every token of every document, under windows that keep so many tokens.

    Args:
        model: in evaluation mode.
        documents: tokens without end-of-text.
        end_of_text: stands before each document.
        keeps: one set of windows for each; what is the same in several sets is read once.

    Returns:
        For each of `keeps`, a number per token of each document.
    """
    requests, owners = [], []
    for which, keep in enumerate(keeps):
        for number, tokens in enumerate(documents):
            sequence = (end_of_text, *tokens.tolist())
            for window in windows(len(sequence), model.config.context, keep):
                requests.append(Request(sequence[window.start : window.stop], window.stop - window.first))
                owners.append((which, number))
    pieces: list[list[list[NDArray[np.float64]]]] = [[[] for _ in documents] for _ in keeps]
    for (which, number), found in zip(owners, score(model, requests, "bits per byte"), strict=True):
        pieces[which][number].append(found.log_probabilities)
    results = [[np.concatenate(p) if p else np.zeros(0) for p in own] for own in pieces]
    for own in results:
        assert all(len(r) == len(d) for r, d in zip(own, documents, strict=True)), "a token was not predicted once"
    return results


def tokens_read(length: int, context: int, keep: int) -> NDArray[np.int64]:
    """For each predicted token of a sequence of `length`, how many tokens the model had read in its window."""
    read = [np.arange(w.first - w.start, w.stop - w.start) for w in windows(length, context, keep)]
    return np.concatenate(read).astype(np.int64) if read else np.zeros(0, dtype=np.int64)


def bytes_of_tokens(text: str, offsets: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """UTF-8 bytes of each token: from the end of the one before to its own, the last to the text's end; they add up.

    Args:
        text: that was tokenized.
        offsets: first character of each token, and the one after its last. Tokens that share a character count it
            with the first of them.
    """
    if not offsets:
        return np.zeros(0, dtype=np.int64)
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    size = np.cumsum(np.r_[0, 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)])
    ends = np.maximum.accumulate([end for _, end in offsets])
    ends[-1] = len(points)
    return np.diff(size[ends], prepend=0).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The tokens of a document that were predicted after `start` tokens or more, and fewer than twice as many."""

    start: int
    tokens: int
    bytes: int
    log_probability: float


def stretches(
    read: NDArray[np.int64], size: NDArray[np.int64], log_probabilities: NDArray[np.float64]
) -> tuple[Stretch, ...]:
    """A document's tokens by how many the model had read before them, in powers of two."""
    if not len(read):
        return ()
    power = np.frexp(read)[1] - 1
    count, width = np.bincount(power), np.bincount(power, weights=size)
    total = np.bincount(power, weights=log_probabilities)
    return tuple(Stretch(1 << k, int(count[k]), int(width[k]), float(total[k])) for k in range(len(count)) if count[k])
