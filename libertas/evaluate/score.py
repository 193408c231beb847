"""Log-probabilities of many continuations: every distinct beginning is read once, similar lengths share a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from libertas.evaluate.cache import ScoreCache, kept_scores, request_key
from libertas.evaluate.trie import ROW_TOKENS, Beginning, Row, Text, divided, laid_out
from libertas.model.branches import Branches, Trunk, can_branch, grown, read_branches
from libertas.model.transformer import Model
from libertas.terminal import progress

BATCH_TOKENS = 4096
"""Tokens in a forward pass, padding included."""
UNEMBEDDED = 128
"""Positions whose logits are in memory at once: 26 MB for a vocabulary of 50,000, which is used again, not mapped
anew."""


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
    itself. Scores that are kept (`libertas.evaluate.cache`) are not computed again.
    """
    assert all(1 <= r.scored < len(r.tokens) for r in requests), "a request scores a token and reads one, at least"
    cache = kept_scores(model)
    if cache is None:
        return _computed(model, requests, title, row_tokens, None)
    keys = [_key(request) for request in requests]
    kept = {key: Scored(*entry) for key, entry in cache.read(keys).items()}
    new = {key: request for key, request in zip(keys, requests, strict=True) if key not in kept}
    kept |= zip(new, _computed(model, list(new.values()), title, row_tokens, cache), strict=True)
    return [kept[key] for key in keys]


def _key(request: Request) -> bytes:
    return request_key(request.tokens, request.scored)


def _computed(
    model: Model, requests: Sequence[Request], title: str, row_tokens: int, cache: ScoreCache | None
) -> list[Scored]:
    """`score`, without looking anything up; what is found is added to the cache batch by batch."""
    asked: dict[Text, list[int]] = {}
    for number, request in enumerate(requests):
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
                found = _predicted(model, requests, hidden_BTD, paths, [asked[texts[n]] for n in numbers])
                if cache is not None:
                    cache.write((_key(requests[n]), (one.log_probabilities, one.likeliest)) for n, one in found.items())
                results |= found
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


def _predicted(
    model: Model,
    requests: Sequence[Request],
    hidden_BTD: Tensor,
    paths: Sequence[NDArray[np.int64]],
    readers: Sequence[Sequence[int]],
) -> dict[int, Scored]:
    """The scores of the requests that read the texts of one batch, by their numbers.

    Every position is unembedded once, whoever asks for it, and few at a time.
    """
    asked = [
        (number, path[-requests[number].scored :]) for path, own in zip(paths, readers, strict=True) for number in own
    ]
    places, where = np.unique(np.concatenate([found for _, found in asked]), return_inverse=True)
    targets = np.concatenate([requests[number].tokens[-len(found) :] for number, found in asked])
    order = np.argsort(where, kind="stable")
    values, best = np.empty(len(where)), np.empty(len(where), dtype=bool)
    hidden_PD = hidden_BTD.flatten(0, 1)
    for start in range(0, len(places), UNEMBEDDED):
        stop = start + UNEMBEDDED
        logits_PV = model.unembed(hidden_PD[torch.from_numpy(places[start:stop])])
        pairs = order[np.searchsorted(where, start, sorter=order) : np.searchsorted(where, stop, sorter=order)]
        rows, columns = torch.from_numpy(where[pairs] - start), torch.from_numpy(targets[pairs])
        values[pairs] = (logits_PV[rows, columns] - logits_PV.logsumexp(-1)[rows]).double().numpy()
        best[pairs] = (logits_PV.argmax(-1)[rows] == columns).numpy()
    ends = np.cumsum([len(found) for _, found in asked])
    return {
        number: Scored(own, bool(hits.all()))
        for (number, _), own, hits in zip(asked, np.split(values, ends[:-1]), np.split(best, ends[:-1]), strict=True)
    }
