"""All facts of a corpus as one value that JSON can hold: page, Markdown and Croissant file are made from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from libertas.corpus import SORTED_AT_ONCE, Corpus
from libertas.curate.datasheet.associations import association_facts
from libertas.curate.datasheet.compress import compress_facts
from libertas.curate.datasheet.config import DatasheetConfig
from libertas.curate.datasheet.croissant import CODE
from libertas.curate.datasheet.funnel import Ancestor, funnel_facts, history
from libertas.curate.datasheet.measure import ANY, MEASURES, UNKNOWN, ComponentFacts, Measurements, measure_corpus
from libertas.curate.datasheet.questions import question_facts, read_about
from libertas.curate.datasheet.repeats import repeat_facts
from libertas.curate.datasheet.sidecars import cut_facts, duplicate_facts
from libertas.curate.datasheet.tally import Tally, rounded
from libertas.curate.datasheet.topics import topic_facts
from libertas.lineage.manifest import Manifest, read_manifest_of

PARTS = ("train", "validation", "test")
TOP = 40
"""Domains, licenses and the like that are listed for the whole; `TOP_OF_COMPONENT` for each component."""
TOP_OF_COMPONENT = 10


def open_parts(path: Path) -> dict[str, Corpus]:
    """The parts of a corpus by name, `.` where it has only one.

    Raises:
        UsageError: `path` is no corpus.
    """
    read_manifest_of(path, "corpus", "a corpus made by `libertas gather` or `mix`")
    names = sorted(
        (p.parent.name for p in path.glob("*/documents.npy")),
        key=lambda name: (PARTS.index(name) if name in PARTS else len(PARTS), name),
    )
    return {name: Corpus.open(path, name) for name in names or ["."]}


def corpus_facts(config: DatasheetConfig, parts: Mapping[str, Corpus], tokenizer: Path | None) -> dict[str, Any]:
    """Everything a datasheet tells; reads all texts once."""
    measured, samples = measure_corpus(parts, tokenizer, config.sample, config.seed, config.workers)
    stages = history(config.corpus, config.decisions)
    manifest = next(iter(parts.values())).manifest
    about = read_about(config.about)
    tallies = _whole(measured)
    facts: dict[str, Any] = {
        "name": config.name or config.corpus.resolve().name,
        "corpus": {"fingerprint": manifest.fingerprint, "content": manifest.content, "version": manifest.version},
        "about": about.dataset,
        "about_answers": about.answers,
        "composition": _composition(measured, parts, manifest),
        "lengths": {name: _lengths(c, tokenizer) for name, c in measured.components.items()},
        "languages": {**_described(measured, tallies, "language"), "natural": _natural(tallies["language"])},
        "archived": tallies["archived"].total,
        "scripts": _described(measured, tallies, "script"),
        "formats": _described(measured, tallies, "content_type"),
        "domains": {**_described(measured, tallies, "domain"), **_concentration(tallies["domain"])},
        "dates": {what: tallies[what].facts() for what in ("published", "fetched")},
        "licenses": _licenses(measured, tallies),
        "funnel": funnel_facts(stages),
        "duplicates": duplicate_facts(stages),
        "contamination": cut_facts(stages, "overlaps"),
        "personal": cut_facts(stages, "redactions"),
        "associations": association_facts(measured.neighbours),
        "compressibility": compress_facts(samples, config.workers),
        "repeats": repeat_facts(samples),
        "topics": {**topic_facts(samples, config.topics, config.seed), "asked": config.topics},
        "sample": {"per_component": config.sample, "seed": config.seed},
        "lineage": [_told(s) for s in stages],
    }
    facts["questions"] = question_facts(facts, about)
    return facts


def _told(stage: Ancestor) -> dict[str, Any]:
    content = stage.manifest.content if stage.manifest else None
    return {"kind": stage.name, "name": stage.path.name, "content": content}


def _whole(measured: Measurements) -> dict[str, Tally]:
    """Every tally over all components."""
    whole = ComponentFacts()
    for component in measured.components.values():
        whole.merge(component)
    return whole.tallies


def _composition(measured: Measurements, parts: Mapping[str, Corpus], manifest: Manifest) -> dict[str, Any]:
    mixed = manifest.counts.get("components", {})
    total = sum(c.lengths["bytes"].sum for c in measured.components.values())
    rows: list[dict[str, Any]] = []
    for name, component in measured.components.items():
        sums = {measure: component.lengths[measure].sum for measure in MEASURES}
        said = mixed.get(name, {}) if isinstance(mixed, dict) else {}
        rows.append(
            {
                "name": name,
                "documents": component.documents,
                **sums,
                "share": rounded(sums["bytes"] / total) if total else 0.0,
                "mean_bytes": rounded(sums["bytes"] / component.documents),
                "bytes_per_token": rounded(sums["bytes"] / sums["tokens"]) if sums["tokens"] else None,
                "copies": said.get("copies"),
                "weight": said.get("weight"),
            }
        )
    rows.sort(key=lambda row: (-row["bytes"], row["name"]))
    whole = {m: sum(row[m] for row in rows) for m in ("documents", *MEASURES)}
    different = {name: _distinct(corpus) for name, corpus in parts.items()}
    distinct = sum(different.values())
    epochs = rounded(whole["documents"] / max(distinct, 1))
    per_token = rounded(whole["bytes"] / whole["tokens"]) if whole["tokens"] else None
    return {
        "components": rows,
        "whole": {**whole, "distinct": distinct, "epochs": epochs, "bytes_per_token": per_token},
        "parts": [{"name": n, "documents": len(c), "distinct": different[n]} for n, c in parts.items()],
    }


def _distinct(corpus: Corpus) -> int:
    """Documents of different ids: a mixture may hold one several times."""
    ranges = max(1, -(-len(corpus) // SORTED_AT_ONCE))
    return sum(1 + int(np.count_nonzero(ids[1:] != ids[:-1])) for ids in corpus.ids_in_order(ranges) if len(ids))


def _lengths(component: ComponentFacts, tokenizer: Path | None) -> dict[str, Any]:
    return {m: component.lengths[m].facts() for m in MEASURES if m != "tokens" or tokenizer is not None}


def _described(measured: Measurements, tallies: Mapping[str, Tally], what: str) -> dict[str, Any]:
    """A tally of the whole, and its first names in each component."""
    components = {n: c.tallies[what].top(TOP_OF_COMPONENT) for n, c in measured.components.items()}
    return {**tallies[what].facts(TOP), "components": components}


def _natural(languages: Tally) -> int:
    """Number of languages that people speak, as far as they are told."""
    return len(languages.documents.keys() - {UNKNOWN, CODE})


def _concentration(domains: Tally) -> dict[str, Any]:
    """How many domains hold half and nine tenths of the documents, and the share of the first ones."""
    counts = sorted(domains.documents.values(), reverse=True)
    sums = np.cumsum(counts) if counts else np.zeros(0)
    total = domains.total
    return {
        "hold_half": int(np.searchsorted(sums, 0.5 * total)) + 1 if counts else 0,
        "hold_nine_tenths": int(np.searchsorted(sums, 0.9 * total)) + 1 if counts else 0,
        "shares": [
            [first, rounded(float(sums[min(first, len(counts)) - 1]) / total)]
            for first in (1, 10, 100, 1000)
            if first <= len(counts)
        ],
    }


def _licenses(measured: Measurements, tallies: Mapping[str, Tally]) -> dict[str, Any]:
    named, opted = tallies["license"], tallies["opt_out"]
    unnamed = named.documents.get(UNKNOWN, 0)
    return {
        "named": named.total - unnamed,
        "unnamed": unnamed,
        "opted_out": opted.documents.get(ANY, 0),
        "inferred": tallies["inferred"].documents.get("license", 0),
        "top": named.top(TOP),
        "opt_outs": [row for row in opted.top(TOP) if row["name"] != ANY],
        "components": [
            {
                "name": name,
                "named": c.tallies["license"].total - c.tallies["license"].documents.get(UNKNOWN, 0),
                "unnamed": c.tallies["license"].documents.get(UNKNOWN, 0),
                "opted_out": c.tallies["opt_out"].documents.get(ANY, 0),
            }
            for name, c in measured.components.items()
        ],
    }
