"""Sections on what was left out or changed: the funnel, duplicates, contamination, personal data."""

from typing import Any

from libertas.curate.datasheet.questions import SAYING
from libertas.page.markup import plural
from libertas.serve.datasheet.blocks import (
    Block,
    Chapter,
    Example,
    Flow,
    Fold,
    Prose,
    Rows,
    RuleList,
    RuleRow,
    clipped,
    digits,
)
from libertas.serve.datasheet.contents import Facts

SHOWN_RULES = 8
MOST_RULES = 60
MOST_COLUMNS = 8


def funnel_part(facts: Facts) -> Chapter:
    """From the archives to the corpus: every stage with its rules and examples."""
    rows = [row for row in facts["funnel"] if row["rules"] or row["missing"] or row["stage"] not in SAYING]
    out = facts["composition"]["whole"]["distinct"]
    if not rows:
        return Chapter(
            "left-out",
            "Left out",
            "Nothing is known of what was left out",
            [Prose("The corpus names no stage that dropped anything.")],
        )
    start = next((row["in"] for row in rows if row["in"]), None) or out
    blocks: list[Block] = [
        Prose(
            "Examples are the documents of smallest id; ids are hashes, so nobody chose them. Side-cars say what "
            "should go, and mixing drops it: the same document may be named by several."
        )
    ]
    for row in rows:
        entered = row["in"]
        if row["stage"] in SAYING:
            told = (
                f"{row['dropped']:,} of {entered:,} {row['unit']} spoken against"
                if entered is not None
                else f"{row['dropped']:,} spoken against"
            )
        elif entered is not None:
            told = f"{entered:,} {row['unit']} = {entered - row['dropped']:,} kept + {row['dropped']:,} dropped"
        else:
            told = f"{row['dropped']:,} {row['unit']} dropped"
        kept = max((entered or row["dropped"]) - row["dropped"], 0)
        blocks.append(Flow(row["title"], told, kept / start, row["dropped"] / start))
        if row["missing"]:
            blocks.append(
                Prose(
                    f"{plural(row['missing'], 'directory is', 'directories are')} not there any more; what was dropped "
                    "there is not known."
                )
            )
        rules = _rules(row)
        blocks.append(RuleList(rules[:SHOWN_RULES]))
        if rules[SHOWN_RULES:]:
            blocks.append(
                Fold(plural(len(rules) - SHOWN_RULES, "further rule"), [RuleList(rules[SHOWN_RULES:MOST_RULES])])
            )
    dropped = sum(row["dropped"] for row in rows if row["stage"] not in SAYING)
    heading = f"{plural(out, 'document')} stayed; each of {dropped:,} drops on the way has a reason"
    return Chapter("left-out", "Left out", heading, blocks)


def _rules(row: Facts) -> list[RuleRow]:
    most = max((rule["count"] for rule in row["rules"]), default=1)
    return [
        RuleRow(
            name=clipped(rule["rule"], 50),
            reason=clipped(rule["reason"] or rule["rule"], 90),
            limit=rule["limit"],
            count=rule["count"],
            share=rule["count"] / max(most, 1),
            examples=[_example(example) for example in rule["examples"]],
        )
        for rule in row["rules"]
    ]


def _example(example: Facts) -> Example:
    value = example["value"]
    return Example(
        id=clipped(example["id"], 60),
        url=clipped(example["url"], 120) if example["url"] else None,
        value=digits(value, 4) if isinstance(value, float) else clipped(value, 60) if value not in (None, "") else None,
        excerpt=clipped(example["excerpt"], 200) if example["excerpt"] else None,
    )


def duplicate_part(facts: Facts) -> Chapter:
    """Clusters of duplicates, contamination, personal data."""
    blocks: list[Block] = []
    for told in facts["duplicates"]:
        kinds = ", ".join(f"{name} {count:,}" for name, count in told["kinds"].items())
        blocks.append(
            Prose(
                f"{plural(told['clusters'], 'cluster')} hold {told['in_clusters']:,} documents"
                + (f" of {told['documents']:,}" if told["documents"] else "")
                + f", the largest {told['largest']:,}; {told['redundant']:,} only repeat another document"
                + (f" ({kinds})." if kinds else ".")
            )
        )
        sizes = [
            [str(low) if low == high else f"{low:,} to {high:,}", f"{count:,}"] for low, high, count in told["sizes"]
        ]
        if sizes:
            blocks.append(Rows(["documents of a cluster", "clusters"], sizes))
    redundant = sum(told["redundant"] for told in facts["duplicates"])
    heading = (
        f"{plural(redundant, 'document')} said what another had said"
        if facts["duplicates"]
        else "Duplicates were not looked for"
    )
    return Chapter(
        "duplicates",
        "Duplicates",
        heading,
        blocks or [Prose("No artifact of `libertas dedup` belongs to this corpus.")],
    )


def contamination_part(facts: Facts) -> Chapter:
    """What of evaluation sets was found."""
    blocks = [block for told in facts["contamination"] for block in _cut(told)]
    found = sum(_touched(told) for told in facts["contamination"])
    heading = "Evaluation sets were not looked for"
    if blocks:
        heading = f"{plural(found, 'document holds', 'documents hold')} text of the evaluation sets"
    return Chapter(
        "contamination",
        "Contamination",
        heading,
        blocks or [Prose("No artifact of `libertas decontaminate` belongs to this corpus.")],
    )


def _touched(told: Facts) -> int:
    """Documents with a finding: as the stage counted them, or else at least those that it cuts or speaks against."""
    counted = told["counts"].get("documents_touched")
    return int(counted) if isinstance(counted, int) else told["against"] + sum(cut["documents"] for cut in told["cuts"])


def personal_part(facts: Facts) -> Chapter:
    """Personal data by kind."""
    blocks = [block for told in facts["personal"] for block in _cut(told)]
    spans = sum(cut["spans"] for told in facts["personal"] for cut in told["cuts"])
    heading = f"{plural(spans, 'place')} of personal data" if blocks else "Personal data was not looked for"
    return Chapter(
        "personal",
        "Personal data",
        heading,
        blocks or [Prose("No artifact of `libertas redact` belongs to this corpus.")],
    )


def _cut(told: Facts) -> list[Block]:
    rows = [
        [clipped(c["rule"], 50), f"{c['spans']:,}", f"{c['documents']:,}", f"{c['characters']:,}"] for c in told["cuts"]
    ]
    places = plural(sum(c["spans"] for c in told["cuts"]), "place")
    said = f"{clipped(told['artifact'], 40)}: {plural(told['against'], 'document')} should go, {places} be cut"
    blocks: list[Block] = [Prose(said + (f", of {told['documents']:,} documents." if told["documents"] else "."))]
    if rows:
        blocks.append(Rows(["kind", "places", "documents", "characters"], rows))
    tasks = [
        [clipped(t["task"], 50), f"{t['overlaps']:,}", f"{t['documents']:,}", f"{t['items']:,}", f"{t['most_words']:,}"]
        for t in told["tasks"]
    ]
    if tasks:
        blocks.append(Rows(["evaluation set", "overlaps", "documents", "items", "longest, words"], tasks))
    blocks += [_nested(name, rows) for name, rows in told["counts"].items() if _is_nested(rows)]
    numbers = [
        [clipped(name.replace("_", " "), 60), _shown(value)]
        for name, value in told["counts"].items()
        if isinstance(value, int | float)
    ]
    return [*blocks, Fold("What the stage counted", [Rows(["count", ""], numbers)])] if numbers else blocks


def _is_nested(rows: Any) -> bool:
    return isinstance(rows, dict) and bool(rows) and all(isinstance(row, dict) and row for row in rows.values())


def _nested(name: str, rows: dict[str, dict[str, Any]]) -> Fold:
    """What a stage counted of each evaluation set, or of each component."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))[:MOST_COLUMNS]
    shown = list(rows.items())[:MOST_RULES]
    table = [[clipped(key, 50), *(_shown(row.get(column, 0)) for column in columns)] for key, row in shown]
    headings = ["", *(clipped(column.replace("_", " "), 30) for column in columns)]
    return Fold(f"By {clipped(name.rstrip('s'), 30)}", [Rows(headings, table)])


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else digits(value, 4) if isinstance(value, float) else "–"
