"""The text that a vocabulary is learned from: documents taken evenly, of each component as much as is wanted."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from libertas.corpus import Corpus
from libertas.errors import UsageError
from libertas.terminal import progress


@dataclass(frozen=True)
class LearningSample:
    """Which documents of a corpus to learn from; iterating it reads them, never all into memory."""

    corpus: Corpus
    stride: int
    """Every so many documents one is taken, where no component has a rate."""
    rates: Mapping[str, Fraction]
    """Share of each component's documents that is taken; empty for all by `stride`."""
    bytes: float
    """About how much text that is."""

    def __iter__(self) -> Iterator[str]:
        """The texts, in corpus order; the same ones every time."""
        if not self.rates:
            yield from (document.text for document in islice(self.corpus, 0, None, self.stride))
            return
        seen: Counter[str] = Counter()
        for document in self.corpus:
            component = document.meta["component"]
            rate, before = self.rates[component], seen[component]
            seen[component] += 1
            if (before + 1) * rate // 1 > before * rate // 1:
                yield document.text


def sample_of(corpus: Corpus, megabytes: float, shares: Mapping[str, float]) -> LearningSample:
    """What to learn a vocabulary of a corpus from.

    Args:
        corpus: a part of a mixed corpus.
        megabytes: of text, or less where the corpus has less.
        shares: of components in the sample; those not named divide the rest by their size. A component that is too
            small for its share is taken whole, and the sample is smaller by what is missing.

    Raises:
        UsageError: a share is that of no component.
    """
    wanted = megabytes * 1e6
    if not shares:
        total = sum(int(f.bytes) for f in corpus.manifest.files if f.path.startswith(f"{corpus.part}/"))
        total = int(corpus.manifest.counts.get("train_bytes", total))
        stride = max(1, round(total / wanted))
        return LearningSample(corpus, stride, {}, total / stride)
    sizes = _bytes_of_components(corpus)
    for name in shares:
        if name not in sizes:
            raise UsageError(f"shares.{name} is of no component; the corpus has {', '.join(sorted(sizes))}; name these")
    rest, unnamed = 1 - sum(shares.values()), sum(n for name, n in sizes.items() if name not in shares)
    parts = {name: shares.get(name, rest * size / max(1, unnamed)) for name, size in sizes.items()}
    rates = {name: min(Fraction(1), Fraction(parts[name] * wanted) / max(1, size)) for name, size in sizes.items()}
    return LearningSample(corpus, 1, rates, float(sum(rates[name] * size for name, size in sizes.items())))


def _bytes_of_components(corpus: Corpus) -> Counter[str]:
    sizes: Counter[str] = Counter()
    with progress("measuring components", len(corpus)) as bar:
        for document in corpus:
            sizes[document.meta["component"]] += len(document.text.encode())
            bar.advance()
    return sizes
