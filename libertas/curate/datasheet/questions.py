"""The questions of Datasheets for Datasets (Gebru et al. 2021), in short, answered where a number answers them.

What no number can answer is for the author: it stands as a prompt until the `answers` table of `--about` fills it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libertas.errors import UsageError
from libertas.spelling import nearest

QUESTIONS: dict[str, dict[str, str]] = {
    "Motivation": {
        "purpose": "Why was the dataset made, and which gap was it to fill?",
        "makers": "Who made it, and for whom?",
        "funding": "Who paid for it?",
    },
    "Composition": {
        "instances": "What is one instance?",
        "count": "How many instances are there, of each kind?",
        "sampling": "Is it all there is or a sample, and how was the sample drawn?",
        "labels": "Does an instance have a label or target?",
        "missing": "Is anything missing from instances?",
        "relations": "Are relations between instances made explicit?",
        "splits": "Are there recommended splits?",
        "errors": "Which errors, noise and redundancies are known?",
        "self_contained": "Does it stand alone, or depend on things elsewhere?",
        "confidential": "May it hold confidential matter?",
        "offensive": "May it hold what offends, insults or frightens?",
        "subpopulations": "Does it single out groups of people, and how are they spread?",
        "personal": "Can people be identified from it?",
        "sensitive": "Does it hold what is sensitive about people: health, faith, origin, opinions?",
        "biases": "Which biases are known?",
    },
    "Collection": {
        "acquisition": "How was each instance acquired: observed, reported, inferred?",
        "mechanisms": "With which tools, and how were they checked?",
        "collectors": "Who collected it, and how were they paid?",
        "timeframe": "Over which time was it collected, and is the content as old?",
        "review": "Was there an ethical review?",
        "consent": "Did the people concerned know, and did they consent?",
        "revocation": "How can they take consent back?",
        "impact": "Was the effect on the people concerned examined?",
    },
    "Preprocessing": {
        "cleaning": "What was cleaned, filtered, changed?",
        "raw": "Is the raw data kept?",
        "software": "Is the software that did it there?",
    },
    "Uses": {
        "used": "What has it been used for?",
        "intended_uses": "What else could it be used for?",
        "hazards": "What in its making may harm later uses?",
        "unsuitable": "What should it not be used for?",
    },
    "Distribution": {
        "recipients": "To whom is it given, how and when?",
        "license": "Under which license or terms?",
        "third_parties": "Have others put restrictions on parts of it?",
        "regulation": "Do export controls or other rules apply?",
    },
    "Maintenance": {
        "maintainer": "Who maintains it, and how can they be reached?",
        "errata": "Is there a list of errors?",
        "updates": "Will it be updated, by whom, how often?",
        "retention": "Do limits apply to how long it may be kept?",
        "versions": "Are older versions kept?",
        "contributions": "How can others extend it?",
    },
}
"""Part -> key -> question."""

DATASET_KEYS = ("description", "license", "url", "creators", "published", "version", "citation", "keywords")
"""Keys of the table `dataset`."""
LISTS = ("license", "creators", "keywords")


@dataclass(frozen=True, slots=True)
class About:
    """What the author says."""

    dataset: dict[str, Any]
    answers: dict[str, str]


def read_about(path: Path | None) -> About:
    """Read the file that `--about` names.

    Raises:
        UsageError: it is no TOML, or has a key that means nothing here.
    """
    if path is None:
        return About({}, {})
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML ({error}); expected tables `dataset` and `answers`") from None
    keys = {"dataset": DATASET_KEYS, "answers": tuple(k for part in QUESTIONS.values() for k in part)}
    for table, values in said.items():
        if table not in keys or not isinstance(values, dict):
            raise UsageError(f"{path}: {table} is no table of it; expected `dataset` or `answers`")
        for key, value in values.items():
            if key not in keys[table]:
                raise UsageError(f"{path}: {table} has no key {key!r}; {nearest(key, keys[table])}")
            many = table == "dataset" and key in LISTS and isinstance(value, list)
            if not all(isinstance(each, str) for each in (value if many else [value])):
                raise UsageError(f"{path}: {table}.{key} is {value!r}; expected text" + " or a list of texts" * many)
    return About(said.get("dataset", {}), said.get("answers", {}))


def question_facts(facts: Mapping[str, Any], about: About) -> list[dict[str, Any]]:
    """Every question with its answers: the author's, and that of the numbers; both may be None."""
    told = _told(facts)
    return [
        {"part": part, "key": key, "question": question, "author": about.answers.get(key), "facts": told.get(key)}
        for part, questions in QUESTIONS.items()
        for key, question in questions.items()
    ]


def _told(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers answer, by key."""
    whole, components = facts["composition"]["whole"], facts["composition"]["components"]
    languages, licenses = facts["languages"], facts["licenses"]
    parts = ", ".join(f"{p['name']} {p['documents']:,}" for p in facts["composition"]["parts"])
    told = {
        "instances": "A document: its text, and `meta` with address, component, language, date, place in its archive.",
        "count": f"{whole['documents']:,} documents, {whole['bytes']:,} bytes of text: "
        + "; ".join(f"{c['name']} {c['documents']:,}" for c in components[:12])
        + ("; …" if len(components) > 12 else "."),
        "labels": "No; a line holds a text and what is known of it.",
        "relations": "Clusters of duplicates, where they were looked for; nothing else.",
        "self_contained": "The texts stand in it. Addresses and references to archives lead elsewhere; the archives "
        "are needed only to check the texts.",
        "subpopulations": "Not by itself. How often words for gender, religion and nationality occur, and what stands "
        "beside them, is in the section on neighbours.",
        "mechanisms": "libertas; each stage, its settings and the hash of its code are in the manifests.",
        "software": "Yes, libertas; its version is in the manifests.",
        "timeframe": _years(facts["dates"]),
        "sensitive": "Not examined, except for the words listed under neighbours.",
        "third_parties": f"{licenses['named']:,} documents name a license, {licenses['unnamed']:,} do not; "
        f"{licenses['opted_out']:,} carry an opt-out. A license that a page names was not checked.",
    }
    if facts["archived"]:
        said = f"{facts['archived']:,} of {whole['documents']:,} documents name file, offset and length of the record"
        told["raw"] = f"{said} of the archive that they were made from."
        told["acquisition"] = "Records of archives were read by software; nothing was annotated by people."
    if len(facts["composition"]["parts"]) > 1:
        told["splits"] = f"Yes, by documents: {parts}."
    if facts["funnel"]:
        said = "; ".join(
            f"{row['title']} {'spoke against' if row['stage'] in SAYING else 'dropped'} {row['dropped']:,}"
            for row in facts["funnel"]
            if row["dropped"]
        )
        told["sampling"] = f"What passed the stages of its making. {said}."
        told["cleaning"] = f"See what was left out, rule by rule. {said}."
    if facts["duplicates"]:
        told["errors"] = "; ".join(
            f"{row['redundant']:,} documents repeat another one, in {row['clusters']:,} clusters"
            for row in facts["duplicates"]
        )
    if facts["personal"]:
        spans = sum(cut["spans"] for row in facts["personal"] for cut in row["cuts"])
        told["personal"] = f"{spans:,} places of personal data were found by pattern; names were not looked for."
    missing = next((r["documents"] for r in languages["top"] if r["name"] == "(unknown)"), 0)
    unpublished = next((r["documents"] for r in facts["dates"]["published"]["top"] if r["name"] == "(unknown)"), 0)
    told["missing"] = f"{missing:,} documents have no language, {unpublished:,} no date of publication."
    return told


SAYING = ("decisions", "duplicates", "overlaps", "redactions")
"""Stages that say what should go, while mixing drops it."""


def _years(dates: Mapping[str, Any]) -> str:
    said = []
    for what in ("fetched", "published"):
        years = sorted(row["name"] for row in dates[what]["top"] if row["name"].isdigit())
        if years:
            said.append(f"{what} {years[0]}" + (f" to {years[-1]}" if years[-1] != years[0] else ""))
    return ("; ".join(said) or "No document has a date") + "."
