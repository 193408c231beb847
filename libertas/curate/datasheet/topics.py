"""Topics of a sample by non-negative matrix factorization (Lee and Seung 1999), from scikit-learn.

Each component gives as many documents as any other, so that a small one is seen too. Stop words are those that stand in
many documents of their language; nothing here knows a language. The same sample and seed give the same topics.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from libertas.curate.datasheet.sample import KeyedSample, Sampled
from libertas.curate.datasheet.tally import rounded
from libertas.curate.datasheet.words import UNSPACED, words_in
from libertas.errors import UsageError

COMMON = 0.15
"""Words in more than this share of the documents of their language are stop words."""
ENOUGH = 20
"""Documents of a language from which stop words are told."""
LEAST_DOCUMENTS = 3
"""Documents that a word must stand in."""
MOST_WORDS = 20_000
DOCUMENTS_PER_TOPIC = 5
"""Fewer documents than this for each topic make no topics."""
TOP_WORDS = 12
ROUNDS = 300


def require_topics() -> None:
    """See that scikit-learn is there, before anything is read.

    Raises:
        UsageError: it is not.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise UsageError(
            "topics need scikit-learn, which is not installed; "
            "`pip install libertas[datasheet]`, or leave them out with --topics 0"
        ) from None


def topic_facts(samples: Mapping[str, KeyedSample], topics: int, seed: int) -> dict[str, Any]:
    """Topics with their words, largest first, and the share of each in every component."""
    sample = [(name, d) for name, each in sorted(samples.items()) for d in each.documents]
    if topics == 0 or len(sample) < 2 * DOCUMENTS_PER_TOPIC:
        return {"documents": len(sample), "topics": []}
    bags = topic_words([d for _, d in sample])
    frequency = Counter(word for bag in bags for word in set(bag))
    if not any(count >= LEAST_DOCUMENTS for count in frequency.values()):
        return {"documents": len(sample), "topics": []}
    weights, words = _factorized(bags, min(topics, len(sample) // DOCUMENTS_PER_TOPIC), seed)
    shares = _shares(weights, [name for name, _ in sample])
    order = sorted(range(len(words)), key=lambda t: (-sum(s[t] for s in shares.values()), words[t]))
    return {
        "documents": len(sample),
        "topics": [
            {"words": words[t], "components": {name: rounded(share[t]) for name, share in shares.items()}}
            for t in order
        ],
    }


def topic_words(documents: Sequence[Sampled]) -> list[list[str]]:
    """Words of each document that may tell what it is about: no stop words, no numbers, pairs of unspaced letters."""
    bags = [_candidates(d.text) for d in documents]
    seen: dict[str, Counter[str]] = {}
    size: Counter[str] = Counter(d.language for d in documents)
    for document, bag in zip(documents, bags, strict=True):
        seen.setdefault(document.language, Counter()).update(set(bag))
    common = {
        language: {w for w, n in counts.items() if n > COMMON * size[language]} if size[language] >= ENOUGH else set()
        for language, counts in seen.items()
    }
    known = set().union(*common.values())  # what is common in one language is no topic in another, small one
    return [[w for w in bag if w not in known] for bag in bags]


def _candidates(text: str) -> list[str]:
    words = [w.lower() for w in words_in(text)]
    pairs = [a + b for a, b in pairwise(words) if UNSPACED.match(a) and UNSPACED.match(b)]
    return [w for w in words if 2 < len(w) < 40 and not any(c.isdigit() for c in w)] + pairs


def _factorized(bags: Sequence[list[str]], topics: int, seed: int) -> tuple[Any, list[list[str]]]:
    """Weights of topics in documents, shape (documents, topics), and the first words of each topic."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from threadpoolctl import threadpool_limits

    vectorizer = TfidfVectorizer(analyzer=_as_it_is, min_df=LEAST_DOCUMENTS, max_features=MOST_WORDS, sublinear_tf=True)
    model = NMF(n_components=topics, init="nndsvda", random_state=seed % 2**32, max_iter=ROUNDS)
    with threadpool_limits(1), warnings.catch_warnings():  # sums in one order, whatever the machine
        warnings.simplefilter("ignore", ConvergenceWarning)
        matrix = vectorizer.fit_transform(bags)
        model.set_params(n_components=min(topics, *matrix.shape))
        weights = model.fit_transform(matrix)
    names = vectorizer.get_feature_names_out()
    tops = []
    for row in model.components_:
        ranked = sorted(range(len(row)), key=lambda i, row=row: (-float(f"{row[i]:.6g}"), names[i]))  # type: ignore[misc]
        tops.append([str(names[i]) for i in ranked[:TOP_WORDS] if row[i] > 0])
    return weights, tops


def _as_it_is(words: list[str]) -> list[str]:
    return words


def _shares(weights: Any, components: Sequence[str]) -> dict[str, list[float]]:
    """Mean share of each topic in the documents of a component; documents without any topic count for none."""
    sums: dict[str, list[float]] = {}
    counts: Counter[str] = Counter()
    for row, name in zip(weights.tolist(), components, strict=True):
        if total := sum(row):
            counts[name] += 1
            sums[name] = [a + b / total for a, b in zip(sums.get(name, [0.0] * len(row)), row, strict=True)]
    return {name: [s / counts[name] for s in row] for name, row in sums.items()}
