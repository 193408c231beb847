"""libertas: an open laboratory for language models. Any score or generated word can be asked "why?".

Every stage is a function from a frozen config to an artifact; `make` finds the function for a config:

    from pathlib import Path
    from libertas import GatherConfig, make

    if __name__ == "__main__":  # worker processes import the script again
        corpus = make(GatherConfig(archives=(Path("pages.warc.gz"),), out=Path("corpus")))

The functions themselves carry the names of their rooms, as in `from libertas.train.loop import train`.

Names are imported when they are first used, so `import libertas` is quick and needs no torch.
"""

from importlib import import_module

_HOME = {
    "AdoptConfig": "libertas.corpus.config",
    "BrokenLineage": "libertas.errors",
    "Corpus": "libertas.corpus",
    "Checkpoint": "libertas.train.checkpoint",
    "CrawlConfig": "libertas.gather.config",
    "CurateConfig": "libertas.curate.config",
    "DatasheetConfig": "libertas.curate.datasheet.config",
    "Decision": "libertas.document",
    "DecontaminateConfig": "libertas.curate.contamination.config",
    "DedupConfig": "libertas.curate.duplicates.config",
    "Document": "libertas.document",
    "Drop": "libertas.document",
    "EvaluateConfig": "libertas.evaluate.config",
    "ExportConfig": "libertas.exchange.config",
    "ExportTokensConfig": "libertas.tokenize.config",
    "GatherConfig": "libertas.gather.config",
    "GenerateConfig": "libertas.serve.config",
    "ImportConfig": "libertas.exchange.config",
    "ImportTokensConfig": "libertas.tokenize.config",
    "IndexConfig": "libertas.trace.config",
    "LibertasError": "libertas.errors",
    "MixConfig": "libertas.curate.mixture.config",
    "Model": "libertas.model.transformer",
    "ModelConfig": "libertas.model.config",
    "Order": "libertas.tokenize.order",
    "PackConfig": "libertas.gather.config",
    "RedactConfig": "libertas.curate.privacy.config",
    "ReportConfig": "libertas.serve.config",
    "TokenIndex": "libertas.trace.index",
    "TokenStore": "libertas.tokenize.store",
    "TokenizeConfig": "libertas.tokenize.config",
    "TraceConfig": "libertas.trace.config",
    "TrainConfig": "libertas.train.config",
    "UnfinishedArtifact": "libertas.errors",
    "UsageError": "libertas.errors",
    "WarcRef": "libertas.document",
    "load_checkpoint": "libertas.train.checkpoint",
    "make": "libertas.stages",
    "run": "libertas.lab",
    "verify": "libertas.lineage.verify",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Import a public name from the room it lives in."""
    if name not in _HOME:
        raise AttributeError(f"libertas has no public name {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names only."""
    return __all__
