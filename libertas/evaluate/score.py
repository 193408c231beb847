"""Log-probabilities of many continuations: equal inputs are computed once, similar lengths share a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from libertas.model.transformer import Model
from libertas.terminal import progress
from libertas.tokenize.bpe import END_OF_TEXT

BATCH_TOKENS = 4096
"""Tokens in a forward pass, padding included."""


@dataclass(frozen=True, slots=True)
class Request:
    """Tokens, of which the last `scored` are to be predicted."""

    tokens: tuple[int, ...]
    scored: int


def end_of_text(tokenizer: Tokenizer) -> int:
    """Id of the token that stands before every prompt and document; `load_tokenizer` made sure of it."""
    number = tokenizer.token_to_id(END_OF_TEXT)
    assert number is not None, f"the tokenizer has no {END_OF_TEXT}"
    return number


def fit(tokens: Sequence[int], scored: int, context: int) -> tuple[Request, bool]:
    """A request that a model of this context can answer, and whether tokens at the left had to go."""
    kept = tuple(tokens[-(context + 1) :])
    return Request(kept, min(scored, len(kept) - 1)), len(kept) < len(tokens)


def log_probabilities(model: Model, requests: Sequence[Request], title: str) -> list[NDArray[np.float64]]:
    """Natural-log probability of each scored token, per request in the order given.

    The model reads all tokens of a request but the last. Requests that read the same tokens (four letters after one
    question) share that pass. Rows are padded at the right, which a causal model cannot see.
    """
    rows: dict[tuple[int, ...], list[int]] = {}
    for number, request in enumerate(requests):
        assert 1 <= request.scored < len(request.tokens), "a request scores at least one token and reads at least one"
        rows.setdefault(request.tokens[:-1], []).append(number)
    ordered = sorted(rows, key=lambda tokens: (len(tokens), tokens))
    results: list[NDArray[np.float64]] = [np.zeros(0)] * len(requests)
    with progress(title, len(ordered)) as bar, torch.no_grad():
        while ordered:
            width = len(ordered[-1])  # longest first: a batch that does not fit in memory shows at once
            count = max(1, BATCH_TOKENS // width)
            batch, ordered = ordered[-count:], ordered[:-count]
            _score_batch(model, requests, batch, [rows[tokens] for tokens in batch], results)
            bar.advance(len(batch))
    return results


def _score_batch(
    model: Model,
    requests: Sequence[Request],
    batch: list[tuple[int, ...]],
    readers: list[list[int]],
    results: list[NDArray[np.float64]],
) -> None:
    """Fill `results` for the requests that read the rows of one batch; only scored positions are unembedded."""
    padded = torch.zeros((len(batch), len(batch[-1])), dtype=torch.long)
    for row, tokens in enumerate(batch):
        padded[row, : len(tokens)] = torch.tensor(tokens)
    hidden_BTD = model.hidden(padded)
    places: list[tuple[int, int]] = []
    spans: list[int] = []
    for row, (tokens, numbers) in enumerate(zip(batch, readers, strict=True)):
        longest = max(requests[n].scored for n in numbers)
        places += [(row, position) for position in range(len(tokens) - longest, len(tokens))]
        spans.append(longest)
    where = torch.tensor(places)
    logits_PV = model.unembed(hidden_BTD[where[:, 0], where[:, 1]])
    normalizer_P = logits_PV.logsumexp(-1)
    stop = 0
    for span, numbers in zip(spans, readers, strict=True):
        stop += span
        for number in numbers:
            targets = torch.tensor(requests[number].tokens[-requests[number].scored :])
            rows = torch.arange(stop - len(targets), stop)
            results[number] = (logits_PV[rows, targets] - normalizer_P[rows]).double().numpy()
