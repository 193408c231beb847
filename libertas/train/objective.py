"""What a training asks of its text beside the next token: functions of one excerpt, a document's tokens in a row.

    fim     fill in the middle: prefix, suffix, middle, or suffix, prefix, middle (Bavarian et al. 2022); all counts
    span    span corruption for a decoder: text with holes, then what was in them (Raffel et al. 2020); targets count
    prefix  a prefix, then its continuation, split anywhere (Raffel et al. 2020); the continuation counts
    ul2     one of seven denoisers (Tay et al. 2022, table 1), told by a mode token where the vocabulary has them

Every excerpt keeps its place in the row: what special tokens add is cut from its end (for `fim`, from the end of the
suffix, as SantaCoder did), the token that closes a document comes last, and what becomes shorter is padded. Chance is
drawn from the seed, the document, the epoch and the excerpt's place alone, so that no batch, rank or worker changes it.
The model stays causal: prefixes are read from left to right as well, and only do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from tokenizers import Tokenizer

from libertas.errors import UsageError
from libertas.tokenize import bpe
from libertas.tokenize.pack import Asked, Excerpt, Rearrange
from libertas.tokenize.special import FILL_IN_THE_MIDDLE, PADDING, sentinels
from libertas.tokenize.store import TokenStore
from libertas.train.config import TrainConfig
from libertas.train.cuts import Cutter

Tokens = NDArray[np.int64]
Weights = NDArray[np.float32]

FIM_NAMES = (
    FILL_IN_THE_MIDDLE[:3],
    ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
    ("<fim-prefix>", "<fim-middle>", "<fim-suffix>"),
)
"""Before the prefix, the middle and the suffix: ours (StarCoder's), Qwen's and CodeGemma's, SantaCoder's."""
MODES = ("[R]", "[S]", "[X]")
"""Regular, sequential and extreme denoising (Tay et al. 2022)."""
SPAN_RATE, SPAN_MEAN = 0.15, 3
"""Share of the tokens that is cut out, and mean length of a cut-out span (Raffel et al. 2020, section 3.3.4)."""
REGULAR = ((0.15, 3), (0.15, 8))
EXTREME = ((0.5, 3), (0.5, 8), (0.15, 64), (0.5, 64))
"""Rates and mean lengths of UL2's denoisers (Tay et al. 2022, table 1)."""
SEQUENTIAL_RATE = 0.25
"""Share of the tokens, at the end, that UL2's sequential denoiser asks for (table 1)."""
DENOISERS = 1 + len(REGULAR) + len(EXTREME)
SHORTEST = 8
"""Tokens of the shortest text with holes; a shorter excerpt is read as it is, and counts."""
FEWEST_SENTINELS = 16


@dataclass(frozen=True, slots=True)
class Marks:
    """Ids of the special tokens of a vocabulary."""

    closing: int
    """What closes a document."""
    padding: int
    fim: tuple[int, ...] = ()
    """Before the prefix, the middle, and the suffix."""
    sentinels: tuple[int, ...] = ()
    modes: tuple[int, ...] = ()
    """Of `MODES`; empty where the vocabulary has none."""


def marks_of(tokenizer: Tokenizer, closing: int) -> Marks:
    """The special tokens that a vocabulary has; only added tokens are special, whatever the merges happen to spell."""
    added = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items()}
    fim = next((names for names in FIM_NAMES if all(name in added for name in names)), ())
    spans = [added[name] for name in sentinels(len(added)) if name in added]
    modes = tuple(added[name] for name in MODES if name in added)
    return Marks(
        closing=closing,
        padding=added.get(PADDING, closing),
        fim=tuple(added[name] for name in fim),
        sentinels=tuple(spans),
        modes=modes if len(modes) == len(MODES) else (),
    )


def asked_of(config: TrainConfig, store: TokenStore) -> Asked:
    """What the batches of a training hold: its objective, its masks, and components where there are several.

    Raises:
        UsageError: the vocabulary of the tokens lacks what the objective needs.
    """
    return Asked(
        masks=config.document_masks,
        components=len(store.component_names) > 1,
        rearrange=_rearrangement(config, store) if config.objective != "causal" else None,
    )


def _rearrangement(config: TrainConfig, store: TokenStore) -> Rearrange:
    tokenizer = store.tokenizer()
    marks = marks_of(tokenizer, bpe.closing_token(tokenizer))
    lacking = f"objective is {config.objective!r}, but the vocabulary of {config.tokens} has"
    if config.objective == "fim":
        if not marks.fim:
            raise UsageError(
                f"{lacking} no {', '.join(FIM_NAMES[0])}; expected all three; make the tokens again with "
                "`libertas tokenize --fim`"
            )
        return partial(fill_in, cutter=Cutter(tokenizer), marks=marks, seed=config.seed, rate=config.objective_rate)
    if config.objective == "prefix":
        return partial(continue_prefix, marks=marks, seed=config.seed)
    if len(marks.sentinels) < FEWEST_SENTINELS:
        raise UsageError(
            f"{lacking} {len(marks.sentinels)} tokens such as {sentinels(1)[0]}; expected {FEWEST_SENTINELS} or more "
            "(T5: 100); make the tokens again with `libertas tokenize --sentinels 100`"
        )
    return partial(corrupt if config.objective == "span" else denoise, marks=marks, seed=config.seed)


def draws(seed: int, excerpt: Excerpt, purpose: str, count: int) -> NDArray[np.uint64]:
    """Uniform 64-bit numbers that depend on the excerpt and the seed alone (BLAKE3's extendable output)."""
    key = f"libertas objective {seed} {purpose} {excerpt.document} {excerpt.epoch} {excerpt.position}"
    return np.frombuffer(blake3(key.encode()).digest(length=8 * count), dtype="<u8")


def _document_share(seed: int, excerpt: Excerpt) -> float:
    """A number below 1 that all excerpts of a document share in one epoch."""
    whole = Excerpt(excerpt.tokens[:0], excerpt.document, 0, excerpt.epoch)
    return int(draws(seed, whole, "document", 1)[0]) / 2**64


def _placed(parts: Sequence[Tokens], counts: Sequence[float], excerpt: Excerpt, marks: Marks) -> tuple[Tokens, Weights]:
    """Parts in the excerpt's place, each counting as told; the token that closed the document, then padding."""
    tokens = np.full(len(excerpt.tokens), marks.padding, dtype=np.int64)
    weights = np.zeros(len(excerpt.tokens), dtype=np.float32)
    end = 0
    for part, count in zip(parts, counts, strict=True):
        tokens[end : end + len(part)], weights[end : end + len(part)] = part, count
        end += len(part)
    if excerpt.tokens[-1] == marks.closing:
        tokens[end], weights[end] = marks.closing, 1
    return tokens, weights


def _body(excerpt: Excerpt, marks: Marks) -> Tokens:
    return excerpt.tokens[:-1] if excerpt.tokens[-1] == marks.closing else excerpt.tokens


def _unchanged(excerpt: Excerpt) -> tuple[Tokens, Weights]:
    return excerpt.tokens, np.ones(len(excerpt.tokens), dtype=np.float32)


def fill_in(excerpt: Excerpt, *, cutter: Cutter, marks: Marks, seed: int, rate: float) -> tuple[Tokens, Weights]:
    """Cut at two characters, each as likely as any other, and put the middle last; half of the time the suffix first.

    An excerpt whose suffix is too short to give way to the three special tokens stays as it is, as SantaCoder's did.
    """
    body = _body(excerpt, marks)
    if _document_share(seed, excerpt) >= rate or (text := cutter.text(body)) is None:
        return _unchanged(excerpt)
    low, high, order = draws(seed, excerpt, "fim", 3).tolist()
    first, second = sorted((low % (text.characters + 1), high % (text.characters + 1)))
    before, middle, after = text.cut(first, second)
    over = len(before) + len(middle) + len(after) + len(marks.fim) - len(body)
    if over > len(after):
        return _unchanged(excerpt)
    after = after[: len(after) - max(over, 0)]
    return _placed([fim_tokens(before, middle, after, marks, suffix_first=bool(order & 1))], [1], excerpt, marks)


def fim_tokens(before: Tokens, middle: Tokens, after: Tokens, marks: Marks, *, suffix_first: bool) -> Tokens:
    """`<pre> before <suf> after <mid> middle`, or `<pre> <suf> after <mid> before middle` (Bavarian et al., s. 3)."""
    pre, mid, suf = ([mark] for mark in marks.fim)
    if suffix_first:
        return np.concatenate([pre, suf, after, mid, before, middle]).astype(np.int64)
    return np.concatenate([pre, before, suf, after, mid, middle]).astype(np.int64)


def continue_prefix(excerpt: Excerpt, *, marks: Marks, seed: int) -> tuple[Tokens, Weights]:
    """Leave the tokens, and count those behind a split that is as likely at any place; at least one is before it."""
    body = _body(excerpt, marks)
    if len(body) < 2:
        return _unchanged(excerpt)
    split = 1 + int(draws(seed, excerpt, "prefix", 1)[0]) % (len(body) - 1)
    return _placed([body[:split], body[split:]], [0, 1], excerpt, marks)


def corrupt(
    excerpt: Excerpt,
    *,
    marks: Marks,
    seed: int,
    rate: float = SPAN_RATE,
    mean: float = SPAN_MEAN,
    mode: tuple[int, ...] = (),
) -> tuple[Tokens, Weights]:
    """The excerpt with holes, then what was in them; where it has more spans than there are sentinels, in stretches.

    What does not fit into the excerpt's place is not read: 9 % of it at the usual rate and mean.
    """
    body = _body(excerpt, marks)
    parts: list[Tokens] = []
    counts: list[float] = []
    start, room = 0, len(body)
    while (length := _fitting(room - len(mode), rate, mean, len(marks.sentinels))) >= SHORTEST:
        stretch = body[start : start + length]
        chance = draws(seed, excerpt, f"span {start} {rate} {mean}", length)
        holes, targets = with_holes(stretch, _hidden(length, rate, mean, chance), marks.sentinels)
        parts += [np.array(mode, dtype=np.int64), holes, targets]
        counts += [0, 0, 1]
        start, room = start + length, room - len(mode) - len(holes) - len(targets)
    return _placed(parts, counts, excerpt, marks) if parts else _unchanged(excerpt)


def spans_of(length: int, rate: float, mean: float) -> tuple[int, int]:
    """Tokens to hide of `length`, and in how many spans; T5's rounding, with something left before each span."""
    hidden = min(max(round(length * rate), 1), length - 1)
    return hidden, min(max(round(hidden / mean), 1), hidden, length - hidden)


def _fitting(room: int, rate: float, mean: float, available: int) -> int:
    """Most tokens that fit with their sentinels (two for each span, and one at the end) into `room`; 0 for none."""
    most = min((room + 1) / (1 + 2 * rate / mean), (available + 1) * mean / rate)  # no rounding reaches beyond
    for length in range(int(most) + 1, 1, -1):
        spans = spans_of(length, rate, mean)[1]
        if spans < available and length + 2 * spans + 1 <= room:
            return length
    return 0


def _hidden(length: int, rate: float, mean: float, chance: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which tokens are hidden: parts kept and parts hidden by turns, any lengths of the parts as likely as others."""
    hidden, spans = spans_of(length, rate, mean)
    lengths = np.empty(2 * spans, dtype=np.int64)
    lengths[0::2] = _parts(length - hidden, spans, chance[: length - hidden])
    lengths[1::2] = _parts(hidden, spans, chance[length - hidden :])
    return np.repeat(np.arange(2 * spans) % 2 == 1, lengths)


def _parts(total: int, count: int, chance: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Lengths of `count` parts of at least one that make up `total`: cuts at `count` - 1 places by chance."""
    cuts = np.sort(np.argsort(chance[1:], kind="stable")[: count - 1]) + 1
    return np.diff(cuts, prepend=0, append=total)


def with_holes(tokens: Tokens, hidden: NDArray[np.bool_], sentinels: Sequence[int]) -> tuple[Tokens, Tokens]:
    """Tokens with a sentinel for each hidden span; and each sentinel with its span, one more sentinel at the end."""
    begins = hidden & ~np.concatenate([[False], hidden[:-1]])
    at = np.flatnonzero(begins)
    marks = np.array(sentinels[: len(at) + 1], dtype=np.int64)
    holes = tokens.copy()
    holes[at] = marks[:-1]
    places = np.flatnonzero(hidden)
    targets = np.insert(tokens[places], np.searchsorted(places, at), marks[:-1])
    return holes[~hidden | begins], np.append(targets, marks[-1])


def denoise(excerpt: Excerpt, *, marks: Marks, seed: int) -> tuple[Tokens, Weights]:
    """One of UL2's seven denoisers, each as likely as the others, behind its mode token if the vocabulary has them."""
    choice = int(draws(seed, excerpt, "denoiser", 1)[0]) % DENOISERS
    regular, sequential, extreme = ((mark,) for mark in marks.modes) if marks.modes else ((), (), ())
    if choice < len(REGULAR):
        rate, mean = REGULAR[choice]
        return corrupt(excerpt, marks=marks, seed=seed, rate=rate, mean=mean, mode=regular)
    if choice < len(REGULAR) + len(EXTREME):
        rate, mean = EXTREME[choice - len(REGULAR)]
        return corrupt(excerpt, marks=marks, seed=seed, rate=rate, mean=mean, mode=extreme)
    body = _body(excerpt, marks)
    body = body[: len(body) - len(sequential)]
    if len(body) < SHORTEST:
        return _unchanged(excerpt)
    split = len(body) - max(1, round(SEQUENTIAL_RATE * len(body)))
    return _placed([np.array(sequential, dtype=np.int64), body[:split], body[split:]], [0, 0, 1], excerpt, marks)
