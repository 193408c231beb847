"""Sections on what is in a corpus: composition, lengths, languages, origin, licenses."""

from collections.abc import Mapping, Sequence
from typing import Any

from libertas.page.markup import compact, percent, plural
from libertas.serve.datasheet.blocks import (
    Block,
    Cell,
    Chapter,
    Chart,
    Fold,
    Prose,
    Rows,
    Stack,
    Title,
    clipped,
    digits,
    in_bytes,
)
from libertas.serve.datasheet.figures import bar_figure, counted_years, length_figure, year_figure

Facts = Mapping[str, Any]
LISTED = 15
QUANTILES = ("p1", "p5", "p25", "p50", "p75", "p95", "p99")


def component_names(facts: Facts) -> list[str]:
    """Names of the components, the one with most bytes first."""
    return [row["name"] for row in facts["composition"]["components"]]


def composition_part(facts: Facts) -> Chapter:
    """What the corpus consists of."""
    rows, whole, parts = (facts["composition"][key] for key in ("components", "whole", "parts"))
    tokens, mixed = whole["tokens"] > 0, any(row["weight"] is not None for row in rows)
    told = ", ".join(f"{percent(row['share'])} {clipped(row['name'], 30)}" for row in rows[:4])
    heading = f"It consists of {told}" + (", …" if len(rows) > 4 else "")
    if len(rows) == 1:
        heading = f"One component, {clipped(rows[0]['name'], 30)}"
    stacks = [
        Stack(
            what,
            [(row["name"], row[what]) for row in rows],
            in_bytes(whole[what]) if what == "bytes" else compact(whole[what]),
        )
        for what in ("bytes", "documents", *(["tokens"] if tokens else []))
    ]
    columns = ["component", "documents", "text", "share", "mean document", "words", "characters"]
    columns += ["tokens", "bytes per token"] * tokens + ["weight", "repeated"] * mixed
    table: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = [
            clipped(row["name"], 40),
            f"{row['documents']:,}",
            in_bytes(row["bytes"]),
            percent(row["share"], 1),
        ]
        line += [in_bytes(row["mean_bytes"]), compact(row["words"]), compact(row["characters"])]
        line += [compact(row["tokens"]), digits(row["bytes_per_token"])] if tokens else []
        line += [digits(row["weight"]), "–" if row["copies"] is None else f"{row['copies']:,}"] if mixed else []
        table.append(line)
    blocks: list[Block] = [*stacks, Rows(columns, table, dots=True)]
    if len(parts) > 1:
        blocks += [
            Rows(
                ["part", "documents", "different documents"],
                [[p["name"], f"{p['documents']:,}", f"{p['distinct']:,}"] for p in parts],
            )
        ]
    if whole["distinct"] < whole["documents"]:
        blocks.append(
            Prose(
                f"{whole['distinct']:,} documents are different; each stands "
                f"{digits(whole['epochs'])} times in the corpus on average, because components are repeated by weight. "
                "Every count on this page counts a document as often as it stands there."
            )
        )
    return Chapter("composition", "Composition", heading, blocks)


def length_part(facts: Facts) -> Chapter:
    """How long documents are."""
    order, lengths = component_names(facts), facts["lengths"]
    middle = lengths[order[0]]["characters"]["p50"]
    tables = {measure: _quantiles(facts, measure) for measure in lengths[order[0]]}
    others: list[Block] = []
    for name, table in tables.items():
        if name != "characters":
            others += [Title(f"In {name}"), table]
    return Chapter(
        "lengths",
        "Lengths",
        f"Half of the documents of {clipped(order[0], 30)} have {middle:,} characters or fewer",
        [
            Chart("lengths", length_figure(lengths, order), "Share of documents by length in characters, by component"),
            tables["characters"],
            Prose(
                "Lengths in characters. Quantiles are exact below 256 and within 0.4 % above. A word is a run of "
                "letters, marks and digits; in scripts without spaces each letter counts as one."
            ),
            Fold(
                "The same in bytes, words and tokens" if "tokens" in tables else "The same in bytes and words", others
            ),
        ],
    )


def _quantiles(facts: Facts, measure: str) -> Rows:
    rows = []
    for name in component_names(facts):
        told = facts["lengths"][name][measure]
        rows.append(
            [clipped(name, 40), *(f"{told[q]:,}" for q in QUANTILES), f"{told['max']:,}", f"{told['mean']:,.0f}"]
        )
    return Rows(
        ["component", "1 %", "5 %", "25 %", "median", "75 %", "95 %", "99 %", "longest", "mean"], rows, dots=True
    )


def language_part(facts: Facts) -> Chapter:
    """Languages and scripts."""
    languages, scripts = facts["languages"], facts["scripts"]
    top = languages["top"]
    told = ", ".join(f"{percent(r['documents'] / languages['documents'], 1)} {clipped(r['name'], 20)}" for r in top[:3])
    written = ", ".join(f"{clipped(r['name'], 20)} {r['documents']:,}" for r in scripts["top"][:12])
    return Chapter(
        "languages",
        "Languages",
        f"{plural(languages['natural'], 'language')}; by documents {told}",
        [
            Chart("languages", bar_figure(top, languages["documents"], "documents"), f"Documents by language: {told}"),
            Prose(f"As measured on the texts when they were gathered. Scripts, by documents: {written}."),
            Fold(
                "As a table, and by component",
                [_counted(top, languages["documents"], "language"), _by_component(facts, languages)],
            ),
        ],
    )


def _by_component(facts: Facts, tally: Facts, most: int = 8) -> Rows:
    rows = [
        [
            clipped(name, 40),
            clipped(
                ", ".join(f"{clipped(r['name'], 40)} {r['documents']:,}" for r in tally["components"][name][:most]), 400
            ),
        ]
        for name in component_names(facts)
    ]
    return Rows(["component", "documents"], rows, names=2, dots=True)


def origin_part(facts: Facts) -> Chapter:
    """Domains and dates."""
    domains, dates = facts["domains"], facts["dates"]
    many = f"more than {domains['names']:,}" if domains["missed"] else f"{domains['names']:,}"
    shares = ", ".join(
        f"the first {n:,} hold {percent(share, 1)}" if n > 1 else f"the first holds {percent(share, 1)}"
        for n, share in domains["shares"]
    )
    heading = f"Half of it comes from {plural(domains['hold_half'], 'domain')} of {many}"
    blocks: list[Block] = [
        Chart("domains", bar_figure(domains["top"], domains["documents"], "documents"), "Documents by domain"),
        Prose(
            f"Of all documents {shares}; {domains['hold_nine_tenths']:,} domains hold nine tenths. `www.` is left out."
        ),
        Fold(
            f"The first {min(len(domains['top']), 40)} domains",
            [_counted(domains["top"], domains["documents"], "domain")],
        ),
        Title("Dates"),
    ]
    published, fetched = (dict(counted_years(dates[what]["top"])) for what in ("published", "fetched"))
    known = sorted({*published, *fetched})
    if len(known) > 1:  # a single year is no course of time
        blocks.append(Chart("years", year_figure(dates), "Documents by year of publication and of fetching"))
    unknown = _documents(dates["published"]["top"], "(unknown)")
    packed = _documents(dates["fetched"]["top"], "1970")
    blocks.append(
        Prose(
            f"{unknown:,} documents name no date of publication."
            + (f" {packed:,} were packed from local files, which have no date of fetching." if packed else "")
        )
    )
    years = [[str(y), f"{published.get(y, 0):,}", f"{fetched.get(y, 0):,}"] for y in known]
    blocks.append(Fold("Years as a table", [Rows(["year", "published", "fetched"], years)]))
    return Chapter("origin", "Origin", heading, blocks)


def _documents(rows: Sequence[Facts], name: str) -> int:
    return next((int(row["documents"]) for row in rows if row["name"] == name), 0)


def _counted(rows: Sequence[Facts], total: int, what: str) -> Rows:
    table = [
        [clipped(r["name"]), f"{r['documents']:,}", percent(r["documents"] / max(total, 1), 1), in_bytes(r["bytes"])]
        for r in rows
    ]
    return Rows([what, "documents", "share", "text"], table)


def license_part(facts: Facts) -> Chapter:
    """The ledger of licenses, and what was said against use."""
    told = facts["licenses"]
    total = told["named"] + told["unnamed"]
    ledger = [
        [clipped(row["name"], 40), f"{row['named']:,}", f"{row['unnamed']:,}", f"{row['opted_out']:,}"]
        for name in component_names(facts)
        for row in told["components"]
        if row["name"] == name
    ]
    known = [row for row in told["top"] if row["name"] != "(unknown)"]
    blocks: list[Block] = [
        Rows(["component", "license named", "none named", "opted out"], ledger, dots=True),
        Prose(
            "A license counts as named where a page or file names it, and "
            f"{plural(told['inferred'], 'of them stands', 'of them stand')} in a place that does not say what it "
            "licenses. Nobody checked whether it was given by someone who could. Where none is named, the law of the "
            "land applies."
        ),
    ]
    if known:
        blocks += [Title("Licenses"), _counted(known[:LISTED], total, "license")]
    if told["opt_outs"]:
        blocks += [Title("Against the use of the text"), _counted(told["opt_outs"][:LISTED], total, "signal")]
    share = percent(told["named"] / max(total, 1), 1)
    return Chapter(
        "licenses",
        "Licenses",
        f"{share} of the documents name a license; {told['opted_out']:,} carry an opt-out",
        blocks,
    )
