"""The stage: a corpus -> its facts, drawn as a page and as Markdown, and described for dataset search."""

from pathlib import Path

from libertas.curate.datasheet.config import DatasheetConfig
from libertas.curate.datasheet.croissant import croissant
from libertas.curate.datasheet.facts import corpus_facts, open_parts
from libertas.curate.datasheet.questions import read_about
from libertas.curate.datasheet.topics import require_topics
from libertas.curate.sidecar import places_in
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft, write_json
from libertas.serve.datasheet.contents import composition_part, language_part, length_part, license_part, origin_part
from libertas.serve.datasheet.cutting import contamination_part, duplicate_part, funnel_part, personal_part
from libertas.serve.datasheet.markdown import datasheet_markdown
from libertas.serve.datasheet.page import datasheet_page
from libertas.serve.datasheet.reading import (
    compression_part,
    neighbour_part,
    question_part,
    repeat_part,
    topic_part,
)

PARTS = (
    composition_part,
    length_part,
    language_part,
    origin_part,
    license_part,
    funnel_part,
    duplicate_part,
    contamination_part,
    personal_part,
    topic_part,
    neighbour_part,
    compression_part,
    repeat_part,
    question_part,
)
"""The sections, in order."""
PAGE, MARKDOWN, METADATA, FACTS = "datasheet.html", "datasheet.md", "croissant.json", "facts.json"


def datasheet(config: DatasheetConfig) -> Path:
    """Make the datasheet that the config describes, or find it made; returns the page.

    Raises:
        UsageError: `corpus` is no corpus or has no documents, `decisions` speak of another one, or scikit-learn is
            missing and topics are asked for.
        BrokenLineage: something that the corpus came from was changed.
    """
    if config.topics:
        require_topics()
    read_about(config.about)
    inputs = {
        "corpus": [config.corpus],
        "decisions": config.decisions,
        "tokens": [config.tokens] if config.tokens else [],
        "about": [config.about] if config.about else [],
    }
    parts = open_parts(config.corpus)
    if not any(map(len, parts.values())):
        raise UsageError(f"{config.corpus} holds no document; expected one at least")
    draft = Draft(kind="datasheet", out=config.out, config=config, inputs=inputs, code=__name__)
    for sidecar in config.decisions:
        places_in(sidecar, draft)
    if not draft.finished():
        with draft.build() as folder:
            facts = corpus_facts(config, parts, _tokenizer_file(config.tokens))
            sections = [part(facts) for part in PARTS]
            write_json(folder / FACTS, facts)
            write_json(folder / METADATA, croissant(facts, parts, config.out, config.workers))
            (folder / PAGE).write_text(datasheet_page(facts, sections), encoding="utf-8")
            (folder / MARKDOWN).write_text(datasheet_markdown(facts, sections), encoding="utf-8")
            whole = facts["composition"]["whole"]
            draft.counts = {
                "documents": whole["documents"],
                "text_bytes": whole["bytes"],
                "topics": len(facts["topics"]["topics"]),
                "components": {row["name"]: row["documents"] for row in facts["composition"]["components"]},
            }
    return config.out / PAGE


def _tokenizer_file(path: Path | None) -> Path | None:
    """The `tokenizer.json` of a token artifact, or the file itself."""
    if path is None:
        return None
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"{file} does not exist; expected a tokenizer.json, or tokens made by `libertas tokenize`")
    return file.absolute()
