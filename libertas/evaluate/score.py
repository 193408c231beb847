"""Log-probabilities of many continuations: every distinct beginning is read once, similar lengths share a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from libertas.evaluate.trie import ROW_TOKENS, Beginning, Row, Text, divided, laid_out
from libertas.model.branches import Branches, Trunk, can_branch, grown, read_branches
from libertas.model.transformer import Model
from libertas.terminal import progress

BATCH_TOKENS = 4096
"""Tokens in a forward pass, padding included."""


@dataclass(frozen=True, slots=True)
class Request:
    """Tokens, of which the last `scored` are to be predicted."""

    tokens: tuple[int, ...]
    scored: int


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model made of one request."""

    log_probabilities: NDArray[np.float64]
    """Of each scored token, natural logarithm."""
    likeliest: bool
    """Whether each of them was the likeliest of all tokens where it stands."""

    @property
    def total(self) -> float:
        """Log-probability of all scored tokens together."""
        return float(self.log_probabilities.sum())


def fit(tokens: Sequence[int], scored: int, context: int) -> tuple[Request, bool]:
    """A request that a model of this context can answer, and whether tokens at the left had to go."""
    kept = tuple(tokens[-(context + 1) :])
    return Request(kept, min(scored, len(kept) - 1)), len(kept) < len(tokens)


def score(model: Model, requests: Sequence[Request], title: str, row_tokens: int = ROW_TOKENS) -> list[Scored]:
    """What the model makes of each request, in the order given.

    The model reads all tokens of a request but the last; only scored positions are unembedded. What requests begin with
    alike is read once (`libertas.evaluate.trie`), unless the model cannot do that: then each distinct text is read by
    itself.
    """
    asked: dict[Text, list[int]] = {}
    for number, request in enumerate(requests):
        assert 1 <= request.scored < len(request.tokens), "a request scores at least one token and reads at least one"
        asked.setdefault(request.tokens[:-1], []).append(number)
    texts = sorted(asked)
    scored = [max(requests[n].scored for n in asked[text]) for text in texts]
    results: dict[int, Scored] = {}
    if can_branch(model.config):
        plan = divided(texts, [len(text) - n for text, n in zip(texts, scored, strict=True)], row_tokens)
    else:
        plan = Beginning(0, 0, 0, rows=[Row(n, n + 1, len(text)) for n, text in enumerate(texts)])
    with progress(title, len(texts)) as bar, torch.no_grad():
        waiting: list[tuple[Beginning, Trunk]] = [(plan, [])]
        while waiting:
            beginning, trunk = waiting.pop()
            if beginning.stop > beginning.start:
                trunk = grown(model, trunk, texts[beginning.example][beginning.start : beginning.stop])
            for rows in _batched(beginning.rows, alone=not trunk):
                hidden_BTD, paths = _read(model, trunk, texts, rows, beginning.stop)
                numbers = [n for row in rows for n in range(row.first, row.last)]
                _fill(model, requests, hidden_BTD, paths, [asked[texts[n]] for n in numbers], results)
                bar.advance(len(numbers))
            waiting += [(longer, trunk) for longer in beginning.longer]
    return [results[number] for number in range(len(requests))]


def _batched(rows: Sequence[Row], alone: bool) -> Iterator[list[Row]]:
    """Rows of similar lengths together, the longest first: a batch that does not fit in memory shows at once.

    Rows of a single text that follow no beginning (`alone`) need no tree, and stay by themselves.
    """
    kinds: list[list[Row]] = [[], []]
    for row in rows:
        kinds[alone and row.last - row.first == 1].append(row)
    for kind in kinds:
        ordered = sorted(kind, key=lambda row: (row.tokens, row.first), reverse=True)
        while ordered:
            count = max(1, BATCH_TOKENS // ordered[0].tokens)
            yield ordered[:count]
            ordered = ordered[count:]


def _read(
    model: Model, trunk: Trunk, texts: Sequence[Text], rows: Sequence[Row], depth: int
) -> tuple[Tensor, list[NDArray[np.int64]]]:
    """The residual stream of some rows, and where the tokens of each text are in it, counted over all rows."""
    width = max(row.tokens for row in rows)
    tokens = torch.zeros((len(rows), width), dtype=torch.long)
    if not trunk and all(row.last - row.first == 1 for row in rows):
        for number, row in enumerate(rows):
            tokens[number, : row.tokens] = torch.tensor(texts[row.first])
        paths = [number * width + np.arange(row.tokens) for number, row in enumerate(rows)]
        return model.hidden(tokens), paths  # padded at the right, which a causal model cannot see
    depths = torch.zeros_like(tokens)
    seen = torch.eye(width, dtype=torch.bool).repeat(len(rows), 1, 1)  # padding sees itself
    paths = []
    for number, row in enumerate(rows):
        laid = laid_out(texts, row, depth)
        tokens[number, : row.tokens] = torch.from_numpy(laid.tokens)
        depths[number, : row.tokens] = torch.from_numpy(laid.depths)
        seen[number, : row.tokens, : row.tokens] = torch.from_numpy(laid.seen)
        paths += [number * width + path for path in laid.paths]
    return read_branches(model, trunk, tokens, Branches(depths, seen)), paths


def _fill(
    model: Model,
    requests: Sequence[Request],
    hidden_BTD: Tensor,
    paths: Sequence[NDArray[np.int64]],
    readers: Sequence[Sequence[int]],
    results: dict[int, Scored],
) -> None:
    """Fill `results` for the requests that read the texts of one batch."""
    asked = [
        (number, path[-requests[number].scored :]) for path, own in zip(paths, readers, strict=True) for number in own
    ]
    places, where = np.unique(np.concatenate([found for _, found in asked]), return_inverse=True)
    logits_PV = model.unembed(hidden_BTD.flatten(0, 1)[torch.from_numpy(places)])
    normalizer_P, likeliest_P = logits_PV.logsumexp(-1), logits_PV.argmax(-1)
    stop = 0
    for number, found in asked:
        start, stop = stop, stop + len(found)
        rows = torch.from_numpy(where[start:stop])
        targets = torch.tensor(requests[number].tokens[-len(found) :])
        values = (logits_PV[rows, targets] - normalizer_P[rows]).double().numpy()
        results[number] = Scored(values, bool((likeliest_P[rows] == targets).all()))
