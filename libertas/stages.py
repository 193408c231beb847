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
    "train audit": Stage(
        config="libertas.train.replay_config:AuditConfig",
        function="libertas.train.audit:audit",
        summary="Check a run against its chain of digests, and train one interval again.",
        usage="RUN [--since STEP] [--until STEP]",
        positional="run",
        examples=("libertas train audit run", "libertas train audit run --since 400 --until 600"),
        render="libertas.train.audit:audit_lines",
    ),
    "gather plan": Stage(
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
    "dedup show": Stage(
        config="libertas.curate.duplicates.config:ShowClusterConfig",
        function="libertas.curate.duplicates.browse:cluster_of",
        summary="Show the cluster of one document: its members, and how each differs from the representative.",
        usage="ID --in DIR",
        positional="id",
        examples=("libertas dedup show 0a1b2c3d --in duplicates",),
        render="libertas.curate.duplicates.browse:cluster_view",
    ),
    "decontaminate show": Stage(
        config="libertas.curate.contamination.config:ShowOverlapsConfig",
        function="libertas.curate.contamination.show:overlaps_of",
        summary="Show what was found: each item beside the text of the document that holds it.",
        usage="DIR [--task NAME]",
        positional="found",
        examples=("libertas decontaminate show overlaps --task gsm8k --most 3",),
        render="libertas.curate.contamination.show:overlaps_view",
    ),
    "batch": Stage(
        config="libertas.trace.batch_config:BatchConfig",
        function="libertas.trace.batch:view_batch",
        summary="Show the documents that a training step read, or the steps that read a document.",
        usage="RUN --step S | --document ID",
        positional="run",
        examples=(
            "libertas batch run --step 512",
            "libertas batch run --step 512 --out step-512.jsonl",
            "libertas batch run --document 0a1b2c3d",
        ),
        render="libertas.trace.batch:batch_table",
    ),
    "evaluate steps": Stage(
        config="libertas.evaluate.config:StepsConfig",
        function="libertas.evaluate.steps:evaluate_steps",
        summary="Score other checkpoints of a run as an existing result was made.",
        usage="RESULT [--steps STEP...] --out DIR",
        positional="result",
        examples=(
            "libertas evaluate steps result --out results",
            "libertas evaluate steps result --steps 100 200 400 --out results",
        ),
        render="libertas.evaluate.steps:steps_table",
    ),
    "compare": Stage(
        config="libertas.evaluate.config:CompareConfig",
        function="libertas.evaluate.compare:compare",
        summary="Compare models on the same items: paired differences, flips, and a gate.",
        usage="OLD NEW... [--gate]",
        positional="results",
        examples=(
            "libertas compare result-old result-new",
            "libertas compare result-old result-new --gate --margin 0.02",
            "libertas compare result-base result-a result-b --out compared.json",
        ),
        render="libertas.evaluate.compare_tables:comparison_tables",
    ),
}
"""Commands that only look and make no artifact, so that no lab can have them; most belong below a stage."""


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
    "adopt": Stage(
        config="libertas.corpus.config:AdoptConfig",
        function="libertas.corpus.adopt:adopt",
        summary="Make a corpus of files in any form that lm_dataformat has had: JSON Lines, archives of texts.",
        usage="PATH... --out DIR",
        positional="paths",
        examples=(
            "libertas adopt pile/train --out corpora/pile",
            "libertas adopt books.jsonl.zst notes.zip --component books --out corpora/books",
        ),
    ),
    "score-model": Stage(
        config="libertas.curate.score_config:ScoreModelConfig",
        function="libertas.curate.scorers:score_model",
        summary="Learn to score texts from your own examples: a classifier, or the perplexity of an n-gram model.",
        usage="CORPUS... --negative CORPUS --out DIR",
        positional="positive",
        examples=(
            "libertas score-model corpora/wiki --negative corpora/web --out models/quality",
            "libertas score-model corpora/wiki --kind perplexity --out models/surprise",
        ),
    ),
    "curate": Stage(
        config="libertas.curate.config:CurateConfig",
        function="libertas.curate.decide:curate",
        summary="Measure every document by published rules, and say which limits it breaks.",
        usage="CORPUS... --out DIR",
        positional="corpora",
        examples=("libertas curate corpora/web corpora/docs --languages en --out decisions",),
    ),
    "dedup": Stage(
        config="libertas.curate.duplicates.config:DedupConfig",
        function="libertas.curate.duplicates.find:dedup",
        summary="Find duplicates: documents, similar documents, paragraphs and spans that occurred before.",
        usage="CORPUS... --out DIR",
        positional="corpora",
        examples=(
            "libertas dedup corpora/web corpora/docs --out duplicates",
            "libertas dedup corpora/web corpora/books --priority books web --methods near lines --out duplicates",
        ),
    ),
    "decontaminate": Stage(
        config="libertas.curate.contamination.config:DecontaminateConfig",
        function="libertas.curate.contamination.stage:decontaminate",
        summary="Find the items of evaluation sets in documents, in any script: mark, cut or drop.",
        usage="CORPUS... --against PATH... --out DIR",
        positional="corpora",
        examples=("libertas decontaminate corpora/web --against gsm8k.jsonl mmlu/ --action cut --out overlaps",),
        render="libertas.curate.contamination.show:found_table",
    ),
    "redact": Stage(
        config="libertas.curate.privacy.config:RedactConfig",
        function="libertas.curate.privacy.find:redact",
        summary="Find e-mail addresses, numbers, keys and other personal data, as spans for `mix` to replace.",
        usage="CORPUS... --out DIR",
        positional="corpora",
        examples=("libertas redact corpora/web corpora/mail --kinds email phone key --out redactions",),
    ),
    "mix": Stage(
        config="libertas.curate.mixture.config:MixConfig",
        function="libertas.curate.mixture.mix:mix",
        summary="Mix components by weight into one corpus, with an unseen part for validation.",
        usage="CORPUS... --decisions DIR... --out DIR",
        positional="corpora",
        examples=(
            "libertas mix corpora/web corpora/docs --decisions decisions --weights.docs 2 --out mix",
            "libertas mix corpora/web corpora/docs --decisions decisions --shares.docs 0.2 --plan --out mix",
        ),
    ),
    "datasheet": Stage(
        config="libertas.curate.datasheet.config:DatasheetConfig",
        function="libertas.serve.datasheet.stage:datasheet",
        summary="Describe a corpus: a page, Markdown and Croissant metadata, from facts.",
        usage="CORPUS --out DIR",
        positional="corpus",
        examples=(
            "libertas datasheet mix --tokens tokens --out datasheet",
            "libertas datasheet corpora/web --decisions decisions --topics 0 --out datasheet-web",
        ),
    ),
    "tokenize": Stage(
        config="libertas.tokenize.config:TokenizeConfig",
        function="libertas.tokenize.store:tokenize",
        summary="Learn a vocabulary and write the corpus as tokens that remember their documents.",
        usage="CORPUS --out DIR",
        positional="corpus",
        examples=(
            "libertas tokenize mix --vocabulary 4096 --out tokens",
            "libertas tokenize mix --vocabulary 32768 --splitting neox --fim --shares.code 0.2 --out tokens",
            "libertas tokenize mix --tokenizer 20B_tokenizer.json --workers 8 --out tokens",
        ),
    ),
    "export-tokens": Stage(
        config="libertas.tokenize.config:ExportTokensConfig",
        function="libertas.tokenize.exchange:export_tokens",
        summary="Write tokens as .bin and .idx files, which GPT-NeoX and Megatron-LM train on.",
        usage="TOKENS --out DIR",
        positional="tokens",
        examples=("libertas export-tokens tokens --out neox-data",),
    ),
    "import-tokens": Stage(
        config="libertas.tokenize.config:ImportTokensConfig",
        function="libertas.tokenize.exchange:import_tokens",
        summary="Make a token store of .bin and .idx files of GPT-NeoX or Megatron-LM.",
        usage="IDX... --tokenizer FILE --out DIR",
        positional="files",
        examples=("libertas import-tokens pile_text_document.idx --tokenizer 20B_tokenizer.json --out tokens",),
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
    "replay": Stage(
        config="libertas.train.replay_config:ReplayConfig",
        function="libertas.train.replay:replay",
        summary="Regenerate the weights after any step of a run, bit for bit.",
        usage="RUN --step S",
        positional="run",
        examples=("libertas replay run --step 300", "libertas replay run --step 300 --out checkpoints/early"),
        render="libertas.train.replay:replay_lines",
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
        function="libertas.evaluate.gate:evaluate_against",
        summary="Score a model: standard error, protocols and contamination beside every number.",
        usage="RUN --corpus DIR --out DIR",
        positional="run",
        examples=(
            "libertas evaluate run --corpus mix --index index --out result",
            "libertas evaluate run-new --corpus mix --out result-new --baseline result --gate",
        ),
        render="libertas.evaluate.gate:evaluation_tables",
    ),
    "lm-eval": Stage(
        config="libertas.evaluate.config:HarnessConfig",
        function="libertas.evaluate.harness:run_harness",
        summary="Run tasks of lm-eval with our model as its backend, which reads each beginning once.",
        usage="RUN --tasks NAME... --out DIR",
        positional="run",
        examples=(
            "libertas lm-eval run --tasks arc_easy --out harness",
            "libertas lm-eval run --tasks my_task --include-path tasks --out harness",
        ),
        render="libertas.evaluate.harness:harness_table",
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
