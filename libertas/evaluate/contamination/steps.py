"""When training first saw what it has of an item: the order of training is a function, so that is computed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tokenizers import Tokenizer

from libertas.corpus import Corpus
from libertas.evaluate.contamination.find import Leak, LeakHit, Leaks
from libertas.tokenize.order import Order
from libertas.tokenize.store import TokenStore
from libertas.trace.origin import exposure


def with_first_steps(leaks: Leaks, model: Path, store: TokenStore) -> Leaks:
    """The same hits, with the first step of the run or checkpoint at `model` that predicted any of the matching text.

    None where the text was in no batch: training stopped before, or it is what no sequence holds.
    """
    read, corpus, tokenizer = exposure(model), store.corpus(), store.tokenizer()
    known: dict[tuple[int, int, int], int | None] = {}

    def timed(leak: Leak) -> Leak:
        if leak.hit is None:
            return leak
        place = (leak.hit.number, leak.hit.start, leak.hit.end)
        if place not in known:
            known[place] = _first_step(leak.hit, corpus, store, tokenizer, read.order, read.steps)
        return replace(leak, hit=replace(leak.hit, step=known[place]))

    def timed_all(own: Mapping[str, Leak]) -> dict[str, Leak]:
        return {name: timed(leak) for name, leak in own.items()}

    return {task: timed_all(own) for task, own in leaks.items()}


def _first_step(
    hit: LeakHit, corpus: Corpus, store: TokenStore, tokenizer: Tokenizer, order: Order, steps: int
) -> int | None:
    """The first step that predicted a token of a hit, in any copy of its document."""
    found = []
    within = _tokens_of(hit, corpus, store, tokenizer)
    for copy in corpus.numbers_of(hit.document):  # the store has the corpus's order
        first = int(store.offsets[copy])
        begin, end = (max(first + token - 1, 0) // order.length for token in (within.start, within.stop - 1))
        for sequence in range(begin, min(end + 1, order.sequences)):
            found += [visit.step for visit in order.readings(sequence, steps)][:1]
    return min(found, default=None)


def _tokens_of(hit: LeakHit, corpus: Corpus, store: TokenStore, tokenizer: Tokenizer) -> range:
    """Tokens of a document that write what matches; all of them where that cannot be told."""
    count = len(store.document_tokens(hit.number))
    encoded = tokenizer.encode(corpus.document(hit.number).text, add_special_tokens=False)
    inside = [n for n, (start, end) in enumerate(encoded.offsets) if start < hit.end and end > hit.start]
    if not inside or len(encoded.ids) + 1 != count:
        return range(count)
    return range(inside[0], inside[-1] + 1)
