"""Continue a text: sampling with temperature and top-p, reproducible by seed."""

import torch
from torch import Tensor

from libertas.errors import UsageError
from libertas.model.transformer import Model


def sample(
    model: Model,
    prompt: list[int],
    count: int,
    *,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
    stop: int | None = None,
) -> tuple[list[int], list[float]]:
    """Token ids that continue `prompt`, and the natural-log probability the model gave to each.

    Args:
        model: the model; it must be in evaluation mode.
        prompt: one or more token ids; only the last `context` of them are read.
        count: most tokens to add.
        temperature: 0 always takes the likeliest token.
        top_p: sample among the likeliest tokens that together have this probability (Holtzman et al. 2020).
        seed: equal seeds give equal texts.
        stop: a token id that ends the text and is not returned.

    Raises:
        UsageError: the prompt is empty.
    """
    if not prompt:
        raise UsageError("the prompt has no tokens; give at least one character")
    context = model.config.context
    generator = torch.Generator().manual_seed(seed)
    tokens, added, scores = list(prompt), [], []
    cache = model.new_cache(1)
    unread = tokens[-context:]
    with torch.no_grad():
        for _ in range(count):
            if cache[0].length + len(unread) > context:  # full: start over with the later half as context
                cache, unread = model.new_cache(1), tokens[-(context // 2) :]
            logits_V = model(torch.tensor([unread]), cache)[0, -1]
            token = _draw(logits_V, temperature, top_p, generator)
            if token == stop:
                break
            scores.append(float(logits_V.log_softmax(-1)[token]))
            tokens.append(token)
            added.append(token)
            unread = [token]
    return added, scores


def _draw(logits_V: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    if temperature == 0:
        return int(logits_V.argmax())
    ordered, numbers = (logits_V / temperature).softmax(-1).sort(descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    ordered = ordered.masked_fill(before >= top_p, 0.0)
    return int(numbers[torch.multinomial(ordered, 1, generator=generator)])
