"""The sensitivity report as a page: one file that needs neither network nor script; a table stands beside each plot."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from libertas.evaluate.protocol import LETTERS
from libertas.evaluate.sensitivity.grid import AS_PUBLISHED, PLAIN, WORDINGS
from libertas.evaluate.sensitivity.plots import (
    cells_plot,
    effects_plot,
    places_plot,
    reliability_plot,
)
from libertas.evaluate.sensitivity.report import SENSITIVITY, SENSITIVITY_PAGE, protocol_ranges
from libertas.evaluate.sensitivity.variance import REST
from libertas.lineage.artifact import write_durably, write_json
from libertas.page.markup import Child, Markup, element, table
from libertas.page.offline import static_text

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Content security policy: whatever a prompt in the page says, the browser runs and fetches nothing."""


def write_sensitivity(folder: Path, report: Mapping[str, Any], weights: str) -> None:
    """Write `sensitivity.json` and `sensitivity.html` into a folder; equal reports make equal bytes."""
    write_json(folder / SENSITIVITY, report)
    write_durably(folder / SENSITIVITY_PAGE, sensitivity_page(report, weights).encode())


def sensitivity_page(report: Mapping[str, Any], weights: str) -> str:
    """The whole page, about the model with these weights."""
    tasks = report["tasks"]
    title = "How much of a score is the way of asking"
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": PAGE_POLICY}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("link", {"rel": "icon", "href": "data:,"}),
        element("title", {}, title),
        *(element("style", {}, Markup(static_text(*style))) for style in STYLES),
    )
    cells = sum(len(task["cells"]) for task in tasks.values())
    lede = (
        f"One model was asked {len(tasks):,} task{'s' * (len(tasks) != 1)} in {cells:,} ways: other protocols, "
        "normalizations, wordings, numbers and draws of examples, and orders of the choices. Each is a score that "
        "could have been reported."
    )
    header = element(
        "header",
        {},
        element("p", {"class": "kicker"}, "libertas · sensitivity"),
        element("h1", {}, title),
        element("p", {"class": "lede"}, lede),
        element("p", {"class": "note"}, "Weights ", element("code", {}, weights)),
        element("nav", {"aria-label": "tasks"}, *(_link(f"#task-{n}", name) for n, name in enumerate(tasks))),
    )
    sections = [_section(number, name, task) for number, (name, task) in enumerate(tasks.items())]
    body = element("body", {}, header, element("main", {}, *sections), _footer())
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, head, body)}\n"


STYLES = (("libertas.page", "page.css"), ("libertas.evaluate.sensitivity", "sensitivity.css"))
"""The style of all pages, and what this one adds: package and file."""


def _section(number: int, name: str, task: Mapping[str, Any]) -> Markup:
    low, high, noise = task["cells"][task["lowest"]], task["cells"][task["highest"]], task["noise"]
    heading = f"{name}: {_percent(low['mean'])} to {_percent(high['mean'])} % right, by how it is asked"
    beyond = (
        "so it may all be noise"
        if task["spread"] <= noise["spread_95"]
        else "so the way of asking matters beyond noise"
    )
    parts: list[Child] = [
        element("h2", {}, heading),
        _note(
            f"{len(task['items']):,} questions. A paper could have reported ",
            _bold(_estimate(low)),
            f" ({_where(low)}) or ",
            _bold(_estimate(high)),
            f" ({_where(high)}). If all cells had one true score, sampling these questions alone would make the lowest "
            f"about {_percent(noise['low'])} and the highest about {_percent(noise['high'])}: a spread of "
            f"{_percent(noise['spread'])} points, and above {_percent(noise['spread_95'])} in one case of twenty. It "
            f"is {_percent(task['spread'])}, {beyond}. ± is one standard error, clustered where questions belong "
            "together.",
        ),
        _figure(
            cells_plot(task),
            _key("plain", "plain protocols, crossed with everything"),
            _key("published", "protocols of published scores, in their own wording"),
            _key("noise", "expected from noise alone"),
        ),
        _ranges_table(task),
        *_refused(task["refused"]),
        *_effects(task["effects"]),
        *_places(task["places"]),
        *_calibration(task["calibration"]),
        element("h3", {}, "Every cell"),
        *(_cells_table(number, row["protocol"], task) for row in protocol_ranges(task)),
        element("h3", {}, "First prompts"),
        _note("The exact words before the first question's answer, each once; the tables of cells give their numbers."),
        *_prompts(number, task),
    ]
    return element("section", {"id": f"task-{number}"}, *parts)


def _ranges_table(task: Mapping[str, Any]) -> Markup:
    headings = ("protocol", "cells", "lowest", "median", "highest")
    rows = [
        (row["protocol"], f"{row['cells']:,}", *(_percent(row[key]) for key in ("low", "median", "high")))
        for row in protocol_ranges(task)
    ]
    chance = (
        f"Chance is {_percent(task['chance'])} %, always the commonest place {_percent(task['majority'])} %. "
        f"{task['requests']:,} choices were scored, for which the model read {task['tokens']:,} distinct tokens."
    )
    return element("div", {}, table(headings, rows), _note(chance))


def _refused(lines: Sequence[str]) -> list[Markup]:
    if not lines:
        return []
    told = f"{len(lines):,} questions could not be asked in every cell and were left out of all"
    return [_fold(told, element("ul", {}, *(element("li", {}, line) for line in lines)))]


def _effects(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """The variance by factor."""
    if not rows:
        return []
    told = [
        (
            row["name"].replace(" x ", " × "),
            f"{row['degrees']:,}",
            f"{_percent(row['share'])} %",
            f"{_percent(row['noise_share'])} %",
            f"{_percent(row['noise_share_95'])} %",
        )
        for row in rows
    ]
    return [
        element("h3", {}, _movers(rows)),
        _figure(
            effects_plot(rows),
            _key("share", "share of the variance between the plain protocols' cells"),
            _key("less", "share that sampling the questions alone would make"),
        ),
        table(("factor", "degrees of freedom", "share", "from noise", "at most, 95 %"), told),
        _note(
            "Sums of squares of a balanced layout. A reading is a protocol with one of its normalizations; examples "
            "are a number of them with one of its draws. Noise alone exceeds the last number in one case of twenty; a "
            "share that is not above it says nothing."
        ),
    ]


def _movers(rows: Sequence[Mapping[str, Any]]) -> str:
    """The factors that move the score beyond noise, the largest first."""
    beyond = [row for row in rows if row["share"] > row["noise_share_95"] and row["name"] != REST]
    if not beyond:
        return "No factor moves the score beyond noise"
    largest = sorted(beyond, key=lambda row: -float(row["share"]))[:3]
    told = ", ".join(f"{row['name'].replace(' x ', ' × ')} {100 * row['share']:.0f} %" for row in largest)
    return f"What moves the score beyond noise: {told}"


def _places(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """The bias to places among the choices."""
    if not rows:
        return []
    letters = LETTERS[: max(len(row["chosen"]) for row in rows)]
    shown = (*letters, "none") if any(row["none"] for row in rows) else (*letters,)

    def cells(row: Mapping[str, Any]) -> list[str]:
        pairs = [f"{100 * c:.0f} / {100 * g:.0f}" for c, g in zip(row["chosen"], row["gold"], strict=True)]
        pairs += [""] * (len(letters) - len(pairs))
        pairs += [f"{100 * row['none']:.0f}"] if "none" in shown else []
        return [row["protocol"], *pairs, _percent(row["total_variation"]), _percent(row["recall_deviation"])]

    return [
        element("h3", {}, "Which place is chosen"),
        element("div", {"class": "many"}, *(_small(places_plot(row), row["protocol"]) for row in rows)),
        _note(_key("share", "chosen, % of all answers"), _key("less", "right")),
        table(("chosen / right, %", *shown, "total variation", "recall deviation"), [cells(row) for row in rows]),
        _note(
            "Over all wordings, examples and orders, by plain log-probability. Total variation: half the sum of the "
            "differences, in points. Recall deviation: standard deviation over places of the share of right answers "
            "where the right choice stands there (RStd of Zheng et al. 2023). None: the likeliest token was no letter."
        ),
    ]


def _calibration(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Whether confidence can be believed."""
    plain = [row for row in rows if row["normalization"] == "none"]
    errors = [
        (
            row["protocol"],
            row["normalization"],
            f"{row['n']:,}",
            *(_percent(value) for value in (row["confidence"], _accuracy(row), row["error"])),
        )
        for row in rows
    ]
    bins = [
        (
            row["protocol"],
            f"{100 * one['low']:.0f}–{100 * one['high']:.0f}",
            f"{one['n']:,}",
            _percent(one["confidence"]),
            _percent(one["accuracy"]),
        )
        for row in plain
        for one in row["bins"]
    ]
    return [
        element("h3", {}, "Whether its confidence can be believed"),
        element(
            "div",
            {"class": "many"},
            *(_small(reliability_plot(row), f"{row['protocol']}: error {_percent(row['error'])}") for row in plain),
        ),
        _note(
            "Across: how sure the model is, in %, by a softmax over what is compared; up: how often it is right. On "
            "the dashed line both agree. The error is the expected calibration error over ten bins (Guo et al. 2017). "
            "No temperature is fitted."
        ),
        _fold("The bins", table(("protocol", "confidence, %", "answers", "mean confidence", "right"), bins)),
        _fold(
            "Calibration of every reading",
            table(("protocol", "normalization", "answers", "confidence", "right", "error"), errors, names=2),
        ),
    ]


def _accuracy(row: Mapping[str, Any]) -> float:
    return float(sum(one["n"] * one["accuracy"] for one in row["bins"]) / row["n"])


def _cells_table(number: int, protocol: str, task: Mapping[str, Any]) -> Markup:
    rows = sorted((r for r in task["cells"] if r["protocol"] == protocol), key=lambda r: -float(r["mean"]))
    headings = (*("normalization", "wording", "examples", "order", "% right", "±", "95 %", "cut", "spans", "prompt"),)
    told = [
        (
            row["normalization"],
            row["wording"],
            f"{row['shots']}, draw {row['seed']}" if row["shots"] else "0",
            f"{row['order'] or 'given'}",
            _percent(row["mean"]),
            "?" if row["stderr"] is None else _percent(row["stderr"]),
            "?" if row["interval"] is None else "–".join(_percent(end) for end in row["interval"]),
            f"{row['truncated']:,}",
            f"{row['token_spans_join']:,}",
            _link(f"#prompt-{number}-{row['prompt']}", f"{row['prompt'] + 1}"),
        )
        for row in rows
    ]
    means = [row["mean"] for row in rows]
    summary = f"{protocol}: {len(rows):,} cells, {_percent(min(means))} to {_percent(max(means))}"
    note = (
        "Cut: questions whose prompt was longer than the context; spans: questions where a token spans the join of "
        "prompt and answer."
    )
    return _fold(summary, table(headings, told, names=4), _note(note))


def _prompts(number: int, task: Mapping[str, Any]) -> Iterable[Markup]:
    """Prompts by protocol; a prompt that several protocols share stands at the first of them."""
    users: dict[int, list[Mapping[str, Any]]] = {}
    for row in task["cells"]:
        users.setdefault(row["prompt"], []).append(row)
    for protocol in dict.fromkeys(rows[0]["protocol"] for rows in users.values()):
        own = [(prompt, rows) for prompt, rows in users.items() if rows[0]["protocol"] == protocol]
        shared = sorted({row["protocol"] for _, rows in own for row in rows} - {protocol})
        also = f" (also {', '.join(shared)})" if shared else ""
        folds = []
        for prompt, rows in own:
            first = rows[0]
            examples = f"{first['shots']} examples" + (f", draw {first['seed']}" if first["shots"] else "")
            told = f"{prompt + 1}: {first['wording']}, {examples}, order {first['order'] or 'given'}"
            text = element("pre", {"id": f"prompt-{number}-{prompt}"}, element("code", {}, task["prompts"][prompt]))
            folds.append(_fold(told, text))
        yield _fold(f"{protocol}{also}: {len(own):,}", *folds)


def _footer() -> Markup:
    wordings = [(w.name, repr(w.question)[1:-1], repr(w.cue)[1:-1], repr(w.between)[1:-1]) for w in WORDINGS]
    return element(
        "footer",
        {},
        element("h2", {}, "What was varied"),
        _note(
            f"The plain protocols ({', '.join(PLAIN)}) are crossed with every normalization that can matter to them, "
            "wording, draw of examples and order of the choices. The others have the wording of published scores and "
            f"are crossed with the examples ({AS_PUBLISHED!r}). All numbers, with every answer, are in {SENSITIVITY}."
        ),
        table(("wording", "question", "cue", "after an example"), wordings, names=4),
        _note(
            "Noise: each cluster of questions gets a normal factor, and all cells' deviations are added up with it "
            "(the multiplier bootstrap), which keeps the correlation between cells. For independent cells of one error "
            "the expected spread is that error times Tippett's range factor."
        ),
    )


def _figure(plot: Markup, *keys: Markup) -> Markup:
    frame = element("div", {"class": "wide", "tabindex": "0"}, plot)
    return element("figure", {}, frame, element("figcaption", {}, *keys))


def _small(plot: Markup, told: str) -> Markup:
    return element("figure", {}, plot, element("figcaption", {}, told))


def _key(kind: str, said: str) -> Markup:
    return element("span", {"class": "keyed"}, element("i", {"class": f"key {kind}"}), said)


def _fold(summary: str, *content: Child) -> Markup:
    return element("details", {}, element("summary", {}, summary), *content)


def _note(*content: Child) -> Markup:
    return element("p", {"class": "note"}, *content)


def _link(target: str, said: str) -> Markup:
    return element("a", {"href": target}, said)


def _bold(said: str) -> Markup:
    return element("b", {}, said)


def _estimate(row: Mapping[str, Any]) -> str:
    return f"{_percent(row['mean'])} ±{'?' if row['stderr'] is None else _percent(row['stderr'])}"


def _where(row: Mapping[str, Any]) -> str:
    examples = f"{row['shots']} examples, draw {row['seed']}" if row["shots"] else "no examples"
    order = f"choices shuffled, {row['order']}" if row["order"] else "choices as given"
    return f"{row['protocol']}/{row['normalization']}, {row['wording']}, {examples}, {order}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
