"""The split: which documents are held out for validation and test, whole clusters of duplicates at a time."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from libertas.curate import minhash
from libertas.curate.exact import KEY_BYTES
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.documents import PARTS, Documents, Rows, Signed
from libertas.curate.mixture.unseen import NearIndex
from libertas.errors import UsageError
from libertas.permutation import mixed64

KEY = f"S{KEY_BYTES}"

TRAIN, VALIDATION, TEST = range(3)
"""Values of `part`."""


def hold_out(documents: Documents, config: MixConfig) -> dict[str, list[str]]:
    """Give each component's share of documents to validation and test, at least one of each.

    Clusters go in the order of a hash of the seed and of their documents' ids, so that a document's fate does not
    depend on its place. One that goes over several components counts in each. Where all that is left of
    a component is one cluster, it is trained on.

    Returns:
        For each part the components of which nothing is held out for it, because they have only that one.

    Raises:
        UsageError: those are all components.
    """
    without: dict[str, list[str]] = {}
    rows = documents.staying()
    clusters, order = _clusters(documents, rows, config.seed)
    parts = np.zeros(len(rows), dtype=np.uint8)
    components = documents.table["component"][rows]
    present = sorted(np.unique(components).tolist(), key=lambda code: documents.components[code])
    for part, share in ((VALIDATION, config.validation), (TEST, config.test)):
        for component in present if share else ():
            inside = components == component
            free = clusters[inside & (parts == 0)]
            if not (inside & (parts == part)).any() and (not len(free) or (free == free[0]).all()):
                without.setdefault(PARTS[part], []).append(documents.components[component])
                continue
            wanted = max(1, round(share * int(inside.sum())))
            chosen = _chosen(clusters, order, inside, parts, wanted - int((inside & (parts == part)).sum()))
            if not (inside & (parts == part)).any() and not len(chosen):  # every cluster is larger than the share
                chosen = _smallest(clusters, order, inside & (parts == 0))
            held = np.zeros(len(order), dtype=bool)
            held[chosen] = True
            parts[held[clusters] & (parts == 0)] = part
        if share and not (parts == part).any():
            raise UsageError(
                f"{PARTS[part]} is {share}, and no component has two documents that differ, of which one could be held "
                f"out; expected more documents; set {PARTS[part]} = 0 to hold out nothing"
            )
    documents.table["part"][rows] = parts
    return without


def clear_of_held_out(documents: Documents, signatures: Callable[[], Iterator[Signed]], similarity: float) -> None:
    """Speak against documents that are too much like one that is held out, or have its text: of test, then of training.

    Args:
        documents: with their parts.
        signatures: gives those of all documents that may stay, a few at a time; it is called twice.
        similarity: from which two are too much alike.
    """
    nothing = (np.empty(0, dtype=np.int64), np.empty((0, minhash.BINS), dtype=np.uint32), np.empty(0, dtype=KEY))
    parts = [nothing, *(_of_parts(documents, signed, (VALIDATION, TEST)) for signed in signatures())]
    rows, signs, keys = map(np.concatenate, zip(*parts, strict=True))
    for_test = documents.table["part"][rows] == TEST
    if for_test.any():
        tested = (rows[for_test], signs[for_test], keys[for_test])
        _clear(documents, (rows[~for_test], signs[~for_test], keys[~for_test]), [tested], similarity)
        stays = documents.table["drop"][rows] == 0
        rows, signs, keys = rows[stays], signs[stays], keys[stays]
    training = (_of_parts(documents, signed, (TRAIN,)) for signed in signatures())
    _clear(documents, (rows, signs, keys), training, similarity)


def _of_parts(documents: Documents, signed: Signed, parts: tuple[int, ...]) -> Signed:
    rows, signs, keys = signed
    chosen = (documents.table["drop"][rows] == 0) & np.isin(documents.table["part"][rows], parts)
    return rows[chosen], signs[chosen], keys[chosen]


def _clear(documents: Documents, held: Signed, others: Iterable[Signed], limit: float) -> None:
    rows, signs, keys = held
    index = NearIndex(signs, limit)
    for these, their_signs, their_keys in others:
        best, value = index.nearest(their_signs)
        for part in (VALIDATION, TEST):
            of_part, name = documents.table["part"][rows] == part, PARTS[part]
            alike = np.flatnonzero(best >= 0)
            alike = alike[of_part[best[alike]]]
            same = np.flatnonzero((best < 0) & np.isin(their_keys, keys[of_part]))  # without a word, no signature tells
            documents.drop(these[alike], f"unseen_{name}", f"near-duplicate of a {name} document", value[alike])
            documents.drop(these[same], f"unseen_{name}", f"same text as a {name} document", 1.0)


def require_training(documents: Documents, before: NDArray[np.int64], config: MixConfig) -> None:
    """Refuse a split that leaves a component nothing to train on; `before` are documents of each before the split.

    Raises:
        UsageError: naming the component.
    """
    left = np.bincount(documents.table["component"][documents.staying("train")], minlength=len(before))
    for code, name in sorted(enumerate(documents.components), key=lambda item: item[1]):
        if before[code] and not left[code]:
            held = f"validation is {config.validation}" + (f" and test {config.test}" if config.test else "")
            raise UsageError(
                f"{held}, and all {before[code]} documents of {name} are held out or too much like those that are; "
                f"expected some left to train on: lower it, 0 holds out nothing, or set weights.{name} = 0"
            )


def _clusters(documents: Documents, rows: Rows, seed: int) -> tuple[Rows, NDArray[np.uint64]]:
    """For each document the number of its cluster, its own if it has none, and for each cluster its place."""
    named = documents.table["cluster"][rows]
    alone = named < 0
    _, clusters = np.unique(np.where(alone, -1 - rows, named), return_inverse=True)
    names = mixed64(documents.table["name"][rows] ^ mixed64(np.array([seed], dtype=np.int64).view(np.uint64)))
    first = np.full(int(clusters.max(initial=-1)) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first, clusters, names)
    return clusters, first


def _chosen(
    clusters: Rows, order: NDArray[np.uint64], inside: NDArray[np.bool_], parts: NDArray[np.uint8], wanted: int
) -> Rows:
    """Clusters of free documents, in order, each taken if it still fits into what is wanted of a component."""
    found, sizes = np.unique(clusters[inside & (parts == 0)], return_counts=True)
    sorting = np.argsort(order[found], kind="stable")
    found, sizes = found[sorting], sizes[sorting]
    taken: list[Rows] = [np.empty(0, dtype=np.int64)]
    while wanted > 0 and (fits := sizes <= wanted).any():
        found, sizes = found[fits], sizes[fits]
        count = int(np.searchsorted(np.cumsum(sizes), wanted, side="right"))
        taken.append(found[:count])
        wanted -= int(sizes[:count].sum())
        found, sizes = found[count:], sizes[count:]
    return np.concatenate(taken)


def _smallest(clusters: Rows, order: NDArray[np.uint64], free: NDArray[np.bool_]) -> Rows:
    found, sizes = np.unique(clusters[free], return_counts=True)
    return found[np.lexsort((order[found], sizes))[:1]]
