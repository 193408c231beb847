"""Small corpora, as `libertas gather` leaves them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from making import MadeConfig

from libertas.corpus import CorpusWriter
from libertas.document import Document
from libertas.lineage.artifact import Draft

MakeCorpus = Callable[[Iterable[Document], Path], Path]


@pytest.fixture(scope="session")
def make_corpus() -> MakeCorpus:
    def make(documents: Iterable[Document], path: Path) -> Path:
        documents = list(documents)
        config = MadeConfig(out=path, note=" ".join(d.id for d in documents))
        with (
            Draft(kind="corpus", out=path, config=config, inputs={}, code="libertas.corpus").build() as folder,
            CorpusWriter(folder, path.name) as writer,
        ):
            for each in documents:
                writer.add(each)
        return path

    return make
