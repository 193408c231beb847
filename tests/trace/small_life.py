"""A small life from archives to a run, made with the real stages."""

from pathlib import Path

import pytest
from making import text

from libertas.curate.config import CurateConfig
from libertas.curate.decide import curate
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.mix import mix
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.pack import pack
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.trace.config import IndexConfig
from libertas.trace.index import index
from libertas.train.config import TrainConfig
from libertas.train.loop import train

SENTENCE = "Zebras écrivent 日本語, and nobody reads it twice.\n"
"""Stands in one document only."""


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packed archives of the same file name, of which `notes` is read twice per pass; then index and run."""
    folder = tmp_path_factory.mktemp("life")
    for component, first, count in (("notes", 0, 12), ("letters", 100, 24)):
        source = folder / "source" / component
        source.mkdir(parents=True)
        for number in range(first, first + count):
            body = text(number) + "\n" + (SENTENCE if number == 105 else "") + text(number + 1000)
            (source / f"{number:03}.txt").write_text(body, encoding="utf-8")
        pack(PackConfig(paths=(str(source),), out=folder / "archives" / component))
        archive = folder / "archives" / component
        gather(GatherConfig(archives=(archive,), component=component, workers=1, out=folder / "corpora" / component))
    corpora = (folder / "corpora" / "notes", folder / "corpora" / "letters")
    curate(CurateConfig(corpora=corpora, rules=("gopher_words", "c4_lorem_ipsum"), workers=1, out=folder / "decisions"))
    mix(
        MixConfig(
            corpora=corpora,
            decisions=(folder / "decisions",),
            weights={"notes": 2.0},
            validation=0.01,
            seed=2,
            out=folder / "mix",
        )
    )
    tokenize(TokenizeConfig(corpus=folder / "mix", out=folder / "tokens", vocabulary=300))
    index(IndexConfig(tokens=folder / "tokens", out=folder / "index"))
    train(TrainConfig(tokens=folder / "tokens", out=folder / "run", model="tiny", steps=60, batch=4, micro_batch=4))
    return folder
