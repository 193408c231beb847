"""The split into training and validation, and the proof that validation is unseen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from libertas.curate import minhash
from libertas.curate.config import MixConfig
from libertas.curate.decide import clusters
from libertas.document import Drop
from libertas.errors import UsageError

OVERLAP_WORDS = 13
"""Words of the n-grams by which overlap of validation and training is reported (Brown et al. 2020, appendix C)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of the mixture, without its text."""

    id: str
    component: str
    corpus: int
    number: int
    """Its place in that corpus."""
    size: int
    """Bytes of UTF-8 text."""
    key: bytes
    signature: minhash.Signatures


@dataclass(frozen=True, slots=True)
class Split:
    """Who is trained on, who is held out, who is neither."""

    train: list[Entry]
    validation: list[Entry]
    drops: list[tuple[Entry, Drop]]

    def without(self, drops: Sequence[tuple[Entry, Drop]]) -> "Split":
        """The split after these training documents are dropped."""
        gone = {entry.id for entry, _ in drops}
        return replace(self, train=[e for e in self.train if e.id not in gone], drops=[*self.drops, *drops])


def keyed(seed: int, purpose: str, name: str) -> int:
    """A number from 0 to 2^64 - 1 that depends on nothing but the seed and two names."""
    return int.from_bytes(blake3(f"{seed}\n{purpose}\n{name}".encode()).digest(length=8), "big")


def weight_of(config: MixConfig, component: str) -> float:
    """How often a component is seen in one pass over the mixture."""
    return config.weights.get(component, 1.0)


def hold_out(split: Split, config: MixConfig, similarity: float) -> Split:
    """Hold out whole clusters of duplicates, in the order of their keyed hash, and clear training of look-alikes.

    A component gives up to its share of documents, at least one. A cluster that goes over several components counts
    in each. Components of weight 0 give nothing.

    Raises:
        UsageError: a component would have nothing left to train on.
    """
    unused = [
        (e, Drop("weight", "component has weight 0", 0.0)) for e in split.train if not weight_of(config, e.component)
    ]
    split = split.without(unused)
    if not split.train:
        raise UsageError("weights leaves no component to train on; expected a weight above 0 for at least one")
    if config.validation == 0.0:
        return split
    chosen = _chosen_clusters(split.train, config, similarity)
    validation = [e for e, held in zip(split.train, chosen, strict=True) if held]
    train = [e for e, held in zip(split.train, chosen, strict=True) if not held]
    alike = minhash.nearest_across(_signatures(validation), _signatures(train), similarity)
    drops = [
        (train[i], Drop("unseen_validation", "near-duplicate of a validation document", pair.similarity))
        for i, pair in sorted(alike.items())
    ]
    result = replace(split, train=train, validation=validation).without(drops)
    left = {e.component for e in result.train}
    for component in sorted({e.component for e in split.train} - left):
        n = sum(e.component == component for e in split.train)
        raise UsageError(
            f"validation is {config.validation}, which holds out all {n} documents of {component} (near-duplicates go "
            f"together); expected some left to train on: lower it, or set weights.{component} = 0"
        )
    return result


def _chosen_clusters(train: Sequence[Entry], config: MixConfig, similarity: float) -> NDArray[np.bool_]:
    """Which documents are held out, shape (documents,)."""
    parent = clusters([e.key for e in train], _signatures(train), similarity)
    names = np.array([keyed(config.seed, "validation", train[p].id) for p in parent], dtype=np.uint64)
    held = np.zeros(len(train), dtype=bool)
    components = np.array([e.component for e in train])
    for component in sorted(set(components.tolist())):
        inside = components == component
        wanted = max(1, round(config.validation * int(inside.sum())))
        sizes = Counter(parent[inside & ~held].tolist())
        taken = int((inside & held).sum())
        for cluster in sorted(sizes, key=lambda c: (int(names[c]), c)):
            if taken + sizes[cluster] <= wanted:
                held |= parent == cluster
                taken += sizes[cluster]
        if not taken:  # every cluster is larger than the share
            held |= parent == min(sizes, key=lambda c: (sizes[c], int(names[c])))
    return held


def _signatures(entries: Sequence[Entry]) -> minhash.Signatures:
    return np.array([e.signature for e in entries], dtype=np.uint32).reshape(len(entries), minhash.BINS)


def prove_unseen(split: Split, similarity: float) -> dict[str, object]:
    """Compare the two final parts, whatever was done to make them: by id, by text, and by signature, each with each."""
    ids = {e.id for e in split.train} & {e.id for e in split.validation}
    texts = {e.key for e in split.train} & {e.key for e in split.validation}
    alike = minhash.nearest_across(_signatures(split.validation), _signatures(split.train), similarity)
    assert not ids, f"{len(ids)} validation documents are in training"
    assert not texts, f"{len(texts)} validation texts are in training"
    assert not alike, f"{len(alike)} training documents are near-duplicates of validation documents"
    return {
        "ids_in_both": len(ids),
        "texts_in_both": len(texts),
        "near_duplicates": len(alike),
        "similarity": similarity,
        "dropped_from_training": sum(d.rule == "unseen_validation" for _, d in split.drops),
        "ngram_words": OVERLAP_WORDS,
    }


class SharedNgrams:
    """How many of validation's n-grams training has met; only validation's are held in memory."""

    def __init__(self) -> None:
        """Nothing expected, nothing met."""
        self._expected: dict[str, list[NDArray[np.uint64]]] = {}
        self._all = np.zeros(0, dtype=np.uint64)
        self._met = np.zeros(0, dtype=bool)

    def expect(self, component: str, text: str) -> None:
        """Add a validation document."""
        self._expected.setdefault(component, []).append(minhash.shingles([text], OVERLAP_WORDS)[0])

    def ready(self) -> None:
        """All of validation is known."""
        parts = [part for parts in self._expected.values() for part in parts]
        self._all = np.unique(np.concatenate(parts)) if parts else self._all
        self._met = np.zeros(len(self._all), dtype=bool)

    def meet(self, text: str) -> None:
        """Mark what a training document shares."""
        if len(self._all):
            values = minhash.shingles([text], OVERLAP_WORDS)[0]
            places = np.minimum(np.searchsorted(self._all, values), len(self._all) - 1)
            self._met[places[self._all[places] == values]] = True

    def shares(self) -> dict[str, float]:
        """Share of each component's different validation n-grams that stand in training as well."""
        result = {}
        for component, parts in sorted(self._expected.items()):
            values = np.unique(np.concatenate(parts))
            met = self._met[np.searchsorted(self._all, values)]
            result[component] = round(float(met.mean()), 6) if len(met) else 0.0
        return result
