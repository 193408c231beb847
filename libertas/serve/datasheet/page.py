"""The page: blocks as HTML, charts as data, style and script in one file that asks the network for nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from libertas.lineage.walk import short
from libertas.page.markup import Child, Markup, compact, element, embedded_json, facts_list, join, percent, plural
from libertas.page.offline import POLICY, page_script, plotly_source, static_text
from libertas.serve.datasheet.blocks import (
    Answer,
    Block,
    Cell,
    Chapter,
    Chart,
    Example,
    Flow,
    Fold,
    Prose,
    Quoted,
    Rows,
    RuleList,
    RuleRow,
    Stack,
    Title,
    digits,
    in_bytes,
)
from libertas.serve.datasheet.figures import colour

LABEL_SHARE = 0.012
"""Share of a full-width bar that one letter of a label needs."""
PROMPT = "For the author: not answered yet."


def datasheet_page(facts: Mapping[str, Any], parts: Sequence[Chapter]) -> str:
    """The whole page; equal facts make equal bytes."""
    charts: dict[str, Any] = {}
    sections = [_section(part, charts) for part in parts]
    head = [
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("meta", {"name": "description", "content": summary_of(facts)}),
        element("link", {"rel": "icon", "href": "data:,"}),
        element("title", {}, f"{facts['name']}: datasheet"),
        element("style", {}, Markup(static_text("libertas.page", "page.css"))),
        element("style", {}, Markup(static_text("libertas.serve.datasheet", "datasheet.css"))),
    ]
    links = [element("a", {"href": f"#{part.name}"}, part.label) for part in parts]
    body = [
        _header(facts),
        element("nav", {"aria-label": "contents"}, links),
        element("main", {}, sections),
        _footer(facts),
        element("script", {"type": "application/json", "id": "charts"}, embedded_json(charts)),
        page_script(plotly_source()),
        page_script(static_text("libertas.serve", "report.js")),
    ]
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, element('head', {}, head), element('body', {}, body))}\n"


def summary_of(facts: Mapping[str, Any]) -> str:
    """One sentence made from facts."""
    whole = facts["composition"]["whole"]
    components, languages = len(facts["composition"]["components"]), facts["languages"]["natural"]
    return (
        f"{plural(whole['documents'], 'document')} of {plural(components, 'component')}, {in_bytes(whole['bytes'])} of "
        f"text in {plural(languages, 'language')}, {compact(whole['words'])} words"
        + (
            f", {compact(whole['tokens'])} tokens of {digits(whole['bytes_per_token'])} bytes."
            if whole["tokens"]
            else "."
        )
    )


def _header(facts: Mapping[str, Any]) -> Markup:
    whole = facts["composition"]["whole"]
    large = [
        (compact(whole["documents"]), "documents"),
        (in_bytes(whole["bytes"]), "text"),
        (compact(whole["words"]), "words"),
        *([(compact(whole["tokens"]), "tokens")] if whole["tokens"] else []),
        (f"{len(facts['composition']['components']):,}", "components"),
        (f"{facts['languages']['natural']:,}", "languages"),
    ]
    numbers = [element("div", {}, element("strong", {}, n), element("span", {}, what)) for n, what in large[:6]]
    about = facts["about"]
    said = {key: about.get(key) for key in ("creators", "license", "published", "version", "url")}
    return element(
        "header",
        {},
        element("p", {"class": "kicker"}, "libertas · datasheet of a corpus"),
        element("h1", {"dir": "auto"}, facts["name"]),
        element("p", {"class": "lede"}, about.get("description") or summary_of(facts)),
        element("div", {"class": "numbers", "style": f"--columns:{len(numbers)}"}, numbers),
        facts_list(
            [
                *((k, ", ".join(v) if isinstance(v, list) else v) for k, v in said.items()),
                ("content", element("code", {}, facts["corpus"]["content"])),
                ("made by", " ← ".join(f"{row['kind']} {row['name']}" for row in facts["lineage"][::-1][:8])),
            ]
        ),
    )


def _footer(facts: Mapping[str, Any]) -> Markup:
    return element(
        "footer",
        {},
        element("h2", {}, "Do not believe this page; check it"),
        element(
            "p",
            {"class": "note"},
            "In the folder that holds the datasheet, this hashes every byte again, up to the archives:",
        ),
        element("pre", {}, "libertas verify ."),
        element(
            "p",
            {"class": "note"},
            "All numbers are in facts.json, the metadata in croissant.json, the same text in datasheet.md. Made from "
            f"the corpus {short(facts['corpus']['content'])} of libertas {facts['corpus']['version']}. The page is one "
            "file and asks the network for nothing.",
        ),
    )


def _section(part: Chapter, charts: dict[str, Any]) -> Markup:
    blocks = [_block(block, charts) for block in part.blocks]
    return element("section", {"id": part.name}, element("h2", {"dir": "auto"}, part.heading), blocks)


def _block(block: Block, charts: dict[str, Any]) -> Markup:
    match block:
        case Prose(text):
            return element("p", {"class": "note", "dir": "auto"}, with_code(text))
        case Title(text):
            return element("h3", {"dir": "auto"}, text)
        case Chart(name, figure, description):
            charts[name] = figure
            return element("div", {"class": "chart", "data-chart": name, "role": "img", "aria-label": description})
        case Rows():
            return _table(block)
        case Stack():
            return _stack(block)
        case Flow():
            return _flow(block)
        case RuleList(rules):
            return element("ul", {"class": "rules"}, [_rule(rule) for rule in rules])
        case Answer():
            return _answer(block)
        case Fold(summary, blocks):
            return element("details", {}, element("summary", {}, summary), [_block(each, charts) for each in blocks])


def with_code(text: str) -> list[Markup]:
    """Prose, with what stands between backticks as code."""
    pieces = text.split("`")
    return [
        element("code", {}, piece) if n % 2 and n < len(pieces) - 1 else join(piece) for n, piece in enumerate(pieces)
    ]


def _table(rows: Rows) -> Markup:
    def kind(column: int, cell: Cell = None) -> dict[str, str | int | None]:
        said = "said" if isinstance(cell, Quoted) and len(cell) > 40 else None
        return {"class": said if column < rows.names else "number"}

    def shown(column: int, row: int, cell: Cell) -> Child:
        dot = element("i", {"class": "dot", "style": f"--colour:{colour(row)}"}) if rows.dots and column == 0 else None
        return [dot, element("bdi", {}, cell) if isinstance(cell, Quoted) else cell]

    head = element("tr", {}, [element("th", {"scope": "col", **kind(i)}, h) for i, h in enumerate(rows.headings)])
    body = [
        element("tr", {}, [element("td", kind(i, cell), shown(i, n, cell)) for i, cell in enumerate(row)])
        for n, row in enumerate(rows.rows)
    ]
    table = element("table", {}, element("thead", {}, head), element("tbody", {}, body))
    return element("div", {"class": "scroll", "tabindex": 0}, table)


def _stack(stack: Stack) -> Markup:
    total = sum(amount for _, amount in stack.pieces) or 1
    pieces = []
    for number, (name, amount) in enumerate(stack.pieces):
        text = f"{name} {percent(amount / total)}"
        shown = text if amount / total >= LABEL_SHARE * len(text) else ""
        style = f"width:{100 * amount / total:.3f}%;--colour:{colour(number)}"
        pieces.append(element("span", {"style": style, "title": f"{name}: {amount:,} {stack.what}"}, shown))
    return element(
        "div",
        {"class": "stack"},
        element("span", {"class": "what"}, stack.what),
        element("div", {"class": "bar"}, pieces),
        element("span", {"class": "total"}, stack.total),
    )


def _flow(flow: Flow) -> Markup:
    return element(
        "div",
        {"class": "flow"},
        element("h3", {}, flow.title, element("span", {"class": "sum"}, flow.told)),
        element(
            "div",
            {"class": "sieve"},
            element("span", {"class": "kept", "style": f"width:{min(100 * flow.kept, 100):.3f}%"}),
            element("span", {"class": "lost", "style": f"width:{min(100 * flow.lost, 100):.3f}%"}),
        ),
    )


def _rule(rule: RuleRow) -> Markup:
    line = [
        element(
            "span",
            {"class": "reason"},
            element("bdi", {}, rule.reason),
            element("small", {}, f" {rule.name}") if rule.name != rule.reason else None,
        ),
        element("span", {"class": "track"}, element("i", {"style": f"width:{100 * rule.share:.2f}%"})),
        element("span", {"class": "count"}, f"{rule.count:,}"),
    ]
    if not rule.examples:
        return element("li", {}, element("div", {"class": "line"}, line))
    examples = element("ol", {"class": "examples"}, [_example(example, rule.limit) for example in rule.examples])
    return element("li", {}, element("details", {}, element("summary", {"class": "line"}, line), examples))


def _example(example: Example, limit: str | None) -> Markup:
    value = f"value {example.value}" + (f", limit {limit}" if limit else "") if example.value else None
    return element(
        "li",
        {},
        element("q", {"dir": "auto"}, example.excerpt) if example.excerpt else None,
        element("p", {}, element("bdi", {}, example.url) if example.url else None),
        element("p", {}, element("code", {}, example.id), [" ", element("bdi", {}, value)] if value else None),
    )


def _answer(answer: Answer) -> Markup:
    told = [element("p", {"dir": "auto"}, answer.author)] if answer.author else []
    told += [element("p", {"dir": "auto"}, with_code(answer.facts))] if answer.facts else []
    prompt = element("p", {"class": "prompt"}, PROMPT) if not told else None
    return element("div", {"class": "answer"}, element("h4", {}, answer.question), told, prompt)
