"""Union-find and star rounds give every document the smallest of its component."""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libertas.corpus import save_array
from libertas.curate.duplicates import tasks
from libertas.curate.duplicates.components import LABELS, star_rounds, union_find
from libertas.curate.duplicates.layout import TableLayout
from libertas.curate.duplicates.near import PAIRS, PAIRS_TYPE

DOCUMENTS = 40


def labels_by(method, pairs: list[tuple[int, int]], documents: int, folder: Path) -> dict[int, int]:
    layout = TableLayout(folder, (), (0, documents), (), (documents,))
    rows = np.array([(a, b, 1.0) for a, b in sorted(pairs)], dtype=list(PAIRS_TYPE))
    (folder / PAIRS).mkdir(parents=True)
    for part, (first, last) in enumerate(pairwise((0, len(rows) // 2, len(rows)))):
        save_array(folder / PAIRS / f"{part:06}.npy", rows[first:last])
    method(layout)
    found = tasks.between(folder / LABELS, 0, documents)
    assert found["document"].tolist() == sorted(set(found["document"].tolist()))
    return dict(zip(found["document"].tolist(), found["root"].tolist(), strict=True))


def expected_labels(pairs: list[tuple[int, int]], documents: int) -> dict[int, int]:
    root = list(range(documents))
    changed = True
    while changed:
        changed = False
        for a, b in pairs:
            low = min(root[a], root[b])
            changed |= root[a] != low or root[b] != low
            root[a] = root[b] = low
    return {n: r for n, r in enumerate(root) if n != r}


METHODS = {
    "union-find": lambda layout: union_find(layout, 1),
    "stars": lambda layout: star_rounds(layout, 1, "local"),
}
PAIR_LISTS = st.lists(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda p: p[0] < p[1]), max_size=40
)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@given(pairs=PAIR_LISTS)
def test_any_pairs_are_labelled_as_by_passing_the_smallest_on(method: str, pairs: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "PARTITION_RECORDS", 30)
        patch.setattr("libertas.curate.duplicates.components.AT_ONCE", 7)
        assert labels_by(METHODS[method], pairs, DOCUMENTS, Path(folder)) == expected_labels(pairs, DOCUMENTS)


@pytest.mark.parametrize("method", METHODS)
def test_a_long_chain_is_one_component(method: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    order = generator.permutation(3000).tolist()
    pairs = [(min(a, b), max(a, b)) for a, b in pairwise(order)]
    assert labels_by(METHODS[method], pairs, 3000, tmp_path) == dict.fromkeys(range(1, 3000), 0)
    assert len(list(tmp_path.glob("small-*"))) < 60
