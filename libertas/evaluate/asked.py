"""What is asked of a model: items under protocols -> requests in tokens, each once, and what cannot be asked."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from blake3 import blake3
from tokenizers import Tokenizer

from libertas.evaluate.asking import PLAIN, Asking
from libertas.evaluate.chat import Prompting, framed, framed_cue
from libertas.evaluate.encode import Pair, encode_pairs
from libertas.evaluate.item import Item
from libertas.evaluate.reading import Reading

REMEMBERED = 8
"""Sheets of requests, one for each task, whose tokens are kept for the next checkpoint."""
_TOKENIZED: dict[bytes, list[Pair]] = {}


@dataclass(frozen=True, slots=True)
class AskedItem:
    """One item under one protocol: numbers of its requests, one for each choice."""

    item: Item
    choices: tuple[str, ...]
    """What is compared, without the space that the protocol adds before it."""
    given: list[int]
    blind: list[int]
    """Without passage and question."""
    after_cue: list[int]
    after_nothing: list[int]

    @property
    def numbers(self) -> list[int]:
        """Of all its requests."""
        return [*self.given, *self.blind, *self.after_cue, *self.after_nothing]


class RequestSheet:
    """Prompts and continuations, each pair once."""

    def __init__(self) -> None:
        """Begin with none."""
        self.numbers: dict[tuple[Asking, str, str], int] = {}

    def ask(self, asking: Asking, prompt: str, continuation: str) -> int:
        """Number of this continuation of this prompt."""
        return self.numbers.setdefault((asking, prompt, continuation), len(self.numbers))

    def tokenized(self, tokenizer: Tokenizer, prompting: Prompting) -> list[Pair]:
        """Every request in tokens, behind what its asking puts first.

        What other checkpoints with the same tokenizer are asked next is remembered.
        """
        key = self._key(tokenizer, prompting)
        if key not in _TOKENIZED:
            while len(_TOKENIZED) >= REMEMBERED:
                del _TOKENIZED[next(iter(_TOKENIZED))]
            _TOKENIZED[key] = self._in_tokens(tokenizer, prompting)
        return _TOKENIZED[key]

    def _key(self, tokenizer: Tokenizer, prompting: Prompting) -> bytes:
        """Hash of all that decides the tokens."""
        askings = {asking: repr(asking).encode() for asking in dict.fromkeys(asking for asking, _, _ in self.numbers)}
        found = blake3(f"{tokenizer.to_str()}{prompting!r}".encode("utf-8", "replace"))
        for asking, prompt, text in self.numbers:
            found.update(b"%b %d %d " % (askings[asking], len(prompt), len(text)))
            found.update(f"{prompt}{text}".encode("utf-8", "surrogatepass"))
        return found.digest()

    def _in_tokens(self, tokenizer: Tokenizer, prompting: Prompting) -> list[Pair]:
        found: dict[int, Pair] = {}
        for asking in dict.fromkeys(asking for asking, _, _ in self.numbers):
            own = {number: (prompt, text) for (how, prompt, text), number in self.numbers.items() if how == asking}
            pairs = encode_pairs(tokenizer, list(own.values()), asking.boundary, special=asking.chat != PLAIN)
            found |= {
                number: replace(pair, tokens=[*prompting.first(pair, asking), *pair.tokens])
                for number, pair in zip(own, pairs, strict=True)
            }
        return [found[number] for number in range(len(found))]

    def unaskable(self, pairs: Sequence[Pair], asked: Iterable[AskedItem], context: int) -> dict[str, str]:
        """Why items cannot be asked, by their ids: a choice is empty, has no token of its own, or too many."""
        why: dict[str, str] = {}
        texts = [text for _, _, text in self.numbers]
        for one in asked:
            if not all(one.choices):
                why.setdefault(one.item.id, f"item {one.item.id}: a choice is empty; the item is left out")
            for number in one.numbers:
                scored = pairs[number].scored
                if not 0 < scored <= context:
                    said = f"has {scored:,} tokens" if scored else "has no token of its own behind its prompt"
                    fitting = f"expected 1 to {context:,}, which the model reads"
                    text = f"{texts[number]!r:.60}"
                    why.setdefault(one.item.id, f"item {one.item.id}: {text} {said}; {fitting}; the item is left out")
        return why


def ask_item(
    sheet: RequestSheet,
    reading: Reading,
    prompting: Prompting,
    item: Item,
    examples: Sequence[Item],
    normalizations: Collection[str],
    with_blind: bool,
) -> AskedItem:
    """Put an item on the sheet.

    Args:
        sheet: is added to.
        reading: of the protocol, with the way to put it.
        prompting: of the model.
        item: with choices.
        examples: that stand before it.
        normalizations: of all readings that share these requests.
        with_blind: whether it is also asked without passage and question, if it has either.
    """
    protocol, asking = reading.protocol, reading.asking.resolved(prompting.usual)
    nothing = replace(item, passage="", question="")
    pairs = protocol.asked(item)
    texts = [text for _, text in pairs]
    blind = protocol.asked(nothing) if item.ending else [(protocol.prompt(nothing), text) for text in texts]
    if not with_blind or not (item.passage or item.question):
        blind = []
    made: dict[tuple[str, str], str] = {}

    def ask(prompt: str, text: str, cue: str) -> int:
        if (prompt, cue) not in made:
            made[prompt, cue] = framed(prompt, cue, protocol, item, examples, asking, prompting)
        begins = asking.chat != PLAIN and not cue  # the assistant's turn
        return sheet.ask(asking, made[prompt, cue], text.lstrip() if begins else text)

    cue_alone = framed_cue(protocol.cue, asking, prompting) if "pmi" in normalizations else ""
    return AskedItem(
        item=item,
        choices=tuple(text.removeprefix(" ") for text in texts),
        given=[ask(prompt, text, protocol.cue_of(item)) for prompt, text in pairs],
        blind=[ask(prompt, text, protocol.cue_of(nothing)) for prompt, text in blind],
        after_cue=[sheet.ask(asking, cue_alone, text) for text in texts] if "pmi" in normalizations else [],
        after_nothing=[sheet.ask(asking, "", text) for text in texts] if "pmi-bare" in normalizations else [],
    )
