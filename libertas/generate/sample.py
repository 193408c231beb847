"""Continue texts: several at a time, reproducible by seed, each as if it were alone. B rows, T time, V vocabulary."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from libertas.errors import UsageError
from libertas.generate.decode import native_step
from libertas.model.transformer import Model

PADDING, TEXT = 0, 1
"""Numbers of the two documents of a padded row; what is padding is not seen by the text."""
ROWS_APART = 0x9E3779B1
"""Distance of the seeds of two rows, odd, so that none comes twice: torch's generator reads 32 bits of a seed."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen from its logits, in the order of the fields; whoever asks checks the values."""

    repetition_penalty: float = 1.0
    """Divides the logits of tokens that the text has already, and multiplies those below 0 (Keskar et al. 2019)."""
    temperature: float = 0.8
    """0 always takes the likeliest token."""
    top_k: int = 0
    """Sample among so many of the likeliest tokens (Fan et al. 2018); 0 for all."""
    top_p: float = 0.95
    """Sample among the likeliest tokens that together have this probability (Holtzman et al. 2020)."""
    min_p: float = 0.0
    """Leave out tokens less likely than this share of the likeliest one's probability (Nguyen et al. 2024)."""
    seed: int = 0
    """Equal seeds give equal texts."""


@dataclass(slots=True)
class Continuation:
    """What a model added to one text."""

    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    """Natural logarithm of the probability that the model gave to each token, before `Sampling` changed anything; empty
    where nobody asked."""
    ended: bool = False
    """Whether the end token came, or `stop` said so."""


def sample(
    model: Model,
    prompts: Sequence[Sequence[int]],
    count: int,
    how: Sampling = Sampling(),
    *,
    seeds: Sequence[int] | None = None,
    end: int | None = None,
    stop: Callable[[list[int]], bool] | None = None,
    log_probabilities: bool = False,
) -> list[Continuation]:
    """Continue some texts together; what is added to one does not depend on the others, but for rounding.

    Args:
        model: in evaluation mode.
        prompts: one or more token ids each; only the last `context` of them are read.
        count: most tokens to add to each.
        how: the next token is chosen.
        seeds: one for each prompt, of 32 bits; without them they are made from that of `how`.
        end: token id that ends a text and is not returned.
        stop: whether a text is at its end, by the tokens that were added to it.
        log_probabilities: whether to return them.

    Raises:
        UsageError: a prompt is empty.
    """
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise UsageError("the prompt has no tokens; give at least one character")
    if seeds is None:
        seeds = [(how.seed + row * ROWS_APART) % (1 << 32) for row in range(len(prompts))]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    texts = [list(prompt) for prompt in prompts]
    added = [Continuation() for _ in prompts]
    with torch.no_grad():
        for _, logits_BV in zip(range(count), _logits(model, texts), strict=False):
            chosen = _draw_all(logits_BV, texts, how, generators)
            if log_probabilities:
                scores = (logits_BV[range(len(chosen)), chosen] - logits_BV.logsumexp(-1)).tolist()
            for row, token in enumerate(chosen):
                texts[row].append(token)
                if added[row].ended or token == end:
                    added[row].ended = True
                    continue
                added[row].tokens.append(token)
                if log_probabilities:
                    added[row].log_probabilities.append(scores[row])
                added[row].ended = stop is not None and stop(added[row].tokens)
            if all(continuation.ended for continuation in added):
                break
    return added


def _logits(model: Model, texts: Sequence[Sequence[int]]) -> Iterator[Tensor]:
    """The logits (B, V) after the last token of each text, over and over: between, each text becomes one token longer.

    A full context is begun anew with its later half.
    """
    context = kept = model.config.context
    while True:
        cache = model.new_cache()
        rows = [text[-kept:] for text in texts]
        unread, documents = _padded(rows)
        yield model.unembed(model.hidden(unread, cache, documents)[:, -1])
        step = native_step(model, cache, [unread.shape[1] - len(row) for row in rows])
        while cache[0].length < context:
            last = [text[-1] for text in texts]
            if step is not None:
                yield step(last)
                continue
            if documents is not None:
                documents = torch.nn.functional.pad(documents, (0, 1), value=TEXT)
            yield model.unembed(model.hidden(torch.tensor(last)[:, None], cache, documents)[:, -1])
        kept = max(context // 2, 1)


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor | None]:
    """Rows of one length, padded on the left, and which document each place is of; None where nothing is padded."""
    longest = max(map(len, rows))
    tokens = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows])
    if all(len(row) == longest for row in rows):
        return tokens, None
    return tokens, torch.tensor([[PADDING] * (longest - len(row)) + [TEXT] * len(row) for row in rows])


def _draw_all(
    logits_BV: Tensor, texts: Sequence[Sequence[int]], how: Sampling, generators: Sequence[torch.Generator]
) -> list[int]:
    if how.temperature == 0 and how.repetition_penalty == 1.0:
        # By numpy, in this thread: torch's threads, once called, keep their cores awake for what the kernel does next.
        likeliest: list[int] = logits_BV.numpy(force=True).argmax(-1).tolist()
        return likeliest
    return [_draw(logits_V, text, how, by) for logits_V, text, by in zip(logits_BV, texts, generators, strict=True)]


def _draw(logits_V: Tensor, text: Sequence[int], how: Sampling, generator: torch.Generator) -> int:
    if how.repetition_penalty != 1.0:
        seen = torch.tensor(sorted(set(text)))
        old = logits_V[seen]
        changed = torch.where(old > 0, old / how.repetition_penalty, old * how.repetition_penalty)
        logits_V = logits_V.index_put((seen,), changed)
    if how.temperature == 0:
        return int(logits_V.argmax())
    ordered, numbers = (logits_V / how.temperature).softmax(-1).sort(descending=True, stable=True)
    if how.top_k:
        ordered = ordered.masked_fill(torch.arange(len(ordered)) >= how.top_k, 0.0)
        ordered = ordered / ordered.sum()
    before = ordered.cumsum(-1) - ordered
    ordered = ordered.masked_fill((before >= how.top_p) | (ordered < how.min_p * ordered[0]), 0.0)
    return int(numbers[torch.multinomial(ordered, 1, generator=generator)])
