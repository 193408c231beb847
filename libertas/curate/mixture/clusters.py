"""Clusters of duplicates: which documents `libertas dedup` calls the same, and which of them stays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from libertas.corpus import Corpus
from libertas.curate.duplicates.clusters import CLUSTERS, KINDS
from libertas.curate.mixture.documents import Documents
from libertas.curate.mixture.reading import Sidecar
from libertas.curate.sidecar import read_sidecar

MEMBER = np.dtype([("row", "<i8"), ("cluster", "<i8"), ("near", "?"), ("similarity", "<f8"), ("priority", "<f8")])
"""A document in a cluster of two or more: whether its text is not that of the representative, how similar they are, and
which should stay, the smallest first."""

Members = NDArray[np.void]


def load_clusters(documents: Documents, corpora: Sequence[Corpus], sidecar: Sidecar) -> Members:
    """Take over the clusters of all documents; returns those that are in one, in corpus order.

    Raises:
        UsageError: the table of a shard is missing.
    """
    found = [np.empty(0, dtype=MEMBER)]
    for number, corpus in enumerate(corpora):
        for shard in range(len(corpus.shards)):
            sidecar.about(CLUSTERS, number, shard)
            said = read_sidecar(sidecar.path, CLUSTERS, sidecar.places[number], shard)
            if said is None or not len(said):
                continue
            members = np.empty(len(said), dtype=MEMBER)
            for name in ("cluster", "similarity", "priority"):
                members[name] = said[name].to_numpy()
            members["row"] = said["number"].to_numpy() + documents.starts[number]
            members["near"] = np.array(said["kind"].to_pylist()) == KINDS[2]
            documents.table["cluster"][members["row"]] = members["cluster"]
            found.append(members)
    return np.concatenate(found)


def keep_one_of_each(documents: Documents, members: Members, *, within: bool) -> None:
    """Speak against all documents of each cluster but the best of those that nothing speaks against.

    The best has the smallest priority, and of equals comes first. The others are told how similar they are to it, as
    far as that is known: all were compared with the representative, which may be out for another reason.

    Args:
        documents: with their clusters.
        members: what `load_clusters` returned.
        within: whether documents of different corpora leave each other alone.
    """
    members = members[documents.table["drop"][members["row"]] == 0]
    if not len(members):
        return
    row = members["row"]
    corpus = np.searchsorted(documents.starts, row, side="right") if within else np.zeros_like(row)
    order = np.lexsort((row, members["priority"], corpus, members["cluster"]))
    members, row, corpus = members[order], row[order], corpus[order]
    first = np.flatnonzero((np.diff(members["cluster"], prepend=-1) != 0) | (np.diff(corpus, prepend=-1) != 0))
    kept = np.repeat(first, np.diff(np.append(first, len(members))))
    lost = kept != np.arange(len(members))
    near = members["near"] | members["near"][kept]
    alike = np.where(members["near"], members["similarity"], members["similarity"][kept])
    documents.drop(row[lost & ~near], "exact_duplicate", "same text as a kept document", 1.0)
    documents.drop(row[lost & near], "near_duplicate", "near-duplicate of a kept document", alike[lost & near])
