"""The stages by name: where their settings and their functions live. The command line and lab files both read this."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from libertas.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage; modules are named, not imported, so that help needs none of them."""

    config: str
    """`module:dataclass` of its settings."""
    function: str
    """`module:function` from settings to an artifact."""
    summary: str
    """One line for the table of commands."""
    usage: str
    """Its arguments in short."""
    positional: str
    """The setting that words without a flag fill."""
    examples: tuple[str, ...]
    """Commands that work as written."""
    text_paths: tuple[str, ...] = ()
    """Settings that are text and may name files: a lab file reads them as paths, but for words as `python:source`."""
    render: str | None = None
    """`module:function` from the stage's result to what the terminal shows."""

    def config_type(self) -> type[Any]:
        """The dataclass of its settings."""
        found: type[Any] = _load(self.config)
        return found

    def call(self, config: Any) -> Any:
        """Run it.

        Raises:
            UsageError: a whole number does not fit into 64 bits, so that no manifest could hold it.
        """
        for field in fields(config):
            value = getattr(config, field.name)
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise UsageError(f"{field.name} is {value}; expected a whole number from -2^63 to 2^63 - 1")
        return _load(self.function)(config)

    def rendered(self, result: Any) -> Iterable[Any]:
        """What to show of a result beside its manifest."""
        if self.render is None:
            return ()
        render: Callable[[Any], Iterable[Any]] = _load(self.render)
        return render(result)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


CRAWL_AND_PACK = ("crawl", "pack")
"""Stages that are commands below `gather`: they make the archives that it reads."""


LOOKS = {
    "plan": Stage(
        config="libertas.gather.config:PlanConfig",
        function="libertas.gather.plan:plan_gathering",
        summary="Sample some archives of a dump, and work out what gathering it would take.",
        usage="ARCHIVE... [--prefix URL]",
        positional="archives",
        examples=(
            "libertas gather plan pages.warc.gz",
            "libertas gather plan warc.paths.gz --prefix https://data.commoncrawl.org/ --files 8",
        ),
        render="libertas.gather.plan:plan_table",
    ),
}
"""Commands below `gather` that look ahead and make no artifact, so that no lab can have them."""


def command_of(stage: str) -> str:
    """What to type for a stage: `libertas train`, `libertas gather crawl`."""
    return f"libertas gather {stage}" if stage in CRAWL_AND_PACK else f"libertas {stage}"


STAGES: dict[str, Stage] = {
    "crawl": Stage(
        config="libertas.gather.config:CrawlConfig",
        function="libertas.gather.crawl:crawl",
        summary="Fetch the pages of one site into a WARC file, politely.",
        usage="URL --out DIR",
        positional="url",
        examples=(
            "libertas gather crawl python:docs --out archives/docs",
            "libertas gather crawl https://example.org/ --pages 50 --out archives/example",
        ),
    ),
    "pack": Stage(
        config="libertas.gather.config:PackConfig",
        function="libertas.gather.pack:pack",
        summary="Put local text files into a WARC file, so that they can always be read again.",
        usage="PATH... --out DIR",
        positional="paths",
        text_paths=("paths",),
        examples=("libertas gather pack notes/ --suffixes .md .txt --out archives/notes",),
    ),
    "gather": Stage(
        config="libertas.gather.config:GatherConfig",
        function="libertas.gather.documents:gather",
        summary="Turn web archives into a corpus of documents.",
        usage="ARCHIVE... --out DIR",
        positional="archives",
        examples=(
            "libertas gather pages.warc.gz --component web --out corpora/web",
            "libertas gather archives/docs --out corpora/docs",
            "libertas gather warc.paths.gz --prefix https://data.commoncrawl.org/ --shard 3/100 --out corpora/part-3",
        ),
    ),
    "curate": Stage(
        config="libertas.curate.config:CurateConfig",
        function="libertas.curate.decide:curate",
        summary="Decide about every document: quality rules, exact and near-duplicates.",
        usage="CORPUS... --out DIR",
        positional="corpora",
        examples=("libertas curate corpora/web corpora/docs --languages en --out decisions",),
    ),
    "mix": Stage(
        config="libertas.curate.config:MixConfig",
        function="libertas.curate.mix:mix",
        summary="Mix components by weight into one corpus, with an unseen part for validation.",
        usage="CORPUS... --decisions DIR --out DIR",
        positional="corpora",
        examples=("libertas mix corpora/web corpora/docs --decisions decisions --weights.docs 2 --out mix",),
    ),
    "tokenize": Stage(
        config="libertas.tokenize.config:TokenizeConfig",
        function="libertas.tokenize.store:tokenize",
        summary="Learn a vocabulary and write the corpus as tokens that remember their documents.",
        usage="CORPUS --out DIR",
        positional="corpus",
        examples=("libertas tokenize mix --vocabulary 4096 --out tokens",),
    ),
    "index": Stage(
        config="libertas.trace.config:IndexConfig",
        function="libertas.trace.index:index",
        summary="Index the training tokens, so that any text can be found in them.",
        usage="TOKENS --out DIR",
        positional="tokens",
        examples=("libertas index tokens --out index",),
    ),
    "train": Stage(
        config="libertas.train.config:TrainConfig",
        function="libertas.train.loop:train",
        summary="Train a model; interrupted at any point, the same command continues bit for bit.",
        usage="TOKENS --out DIR",
        positional="tokens",
        examples=("libertas train tokens --model neo-1m --steps 900 --out run",),
    ),
    "import": Stage(
        config="libertas.exchange.config:ImportConfig",
        function="libertas.exchange.folder:import_model",
        summary="Make a checkpoint from a model that others published, bit for bit.",
        usage="FOLDER --out DIR",
        positional="folder",
        examples=("libertas import pythia-70m/ --out checkpoints/pythia-70m",),
    ),
    "export": Stage(
        config="libertas.exchange.config:ExportConfig",
        function="libertas.exchange.folder:export_model",
        summary="Write a checkpoint as a folder that `transformers` opens without code of ours.",
        usage="CHECKPOINT --out DIR",
        positional="checkpoint",
        examples=("libertas export demo/run --out neo-1m-hf",),
    ),
    "evaluate": Stage(
        config="libertas.evaluate.config:EvaluateConfig",
        function="libertas.evaluate.result:evaluate",
        summary="Score a model: standard error, protocols and contamination beside every number.",
        usage="RUN --corpus DIR --out DIR",
        positional="run",
        examples=("libertas evaluate run --corpus mix --index index --out result",),
        render="libertas.evaluate.result:tables",
    ),
    "generate": Stage(
        config="libertas.serve.config:GenerateConfig",
        function="libertas.serve.generate:generate",
        summary="Let a model continue a text.",
        usage="RUN --out DIR",
        positional="run",
        examples=('libertas generate run --prompt "def read(" --out generation',),
        render="libertas.serve.generate:generation_view",
    ),
    "trace": Stage(
        config="libertas.trace.config:TraceConfig",
        function="libertas.trace.trace:trace",
        summary="Ask a text or a score why: its longest spans in the training data, down to the bytes they came from.",
        usage="SOURCE --out DIR",
        positional="source",
        examples=(
            "libertas trace generation --index index --out trace",
            "libertas trace result --index index --out trace-score",
            'libertas trace run --text "the iterable must be" --index index --out trace-iterable',
        ),
        render="libertas.trace.trace:trace_view",
    ),
    "report": Stage(
        config="libertas.serve.config:ReportConfig",
        function="libertas.serve.report:report",
        summary="Draw a run on one page that works offline.",
        usage="RUN --result DIR --trace DIR --out DIR",
        positional="run",
        examples=("libertas report run --result result --trace trace --out report",),
    ),
}


def make(config: Any) -> Any:
    """Run the stage that a config belongs to, and return what it made.

    Raises:
        UsageError: `config` is not the settings of a stage.
    """
    wanted = f"{type(config).__module__}:{type(config).__name__}"
    for stage in STAGES.values():
        if stage.config == wanted:
            return stage.call(config)
    raise UsageError(f"{wanted} is not the settings of a stage; expected a config such as libertas.TrainConfig")
