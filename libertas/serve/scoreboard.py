"""The section of a report with the scores: standard error, protocol and contamination beside every number."""

from typing import Any

from libertas.page.markup import Child, Markup, element, percent, plural, table
from libertas.serve.life import Life
from libertas.serve.sections import figure, note, section


def scoreboard(life: Life) -> Markup:
    """Bits per byte and multiple choice, or how to measure them."""
    if life.scores is None:
        return section(
            "scores",
            "It has not been scored",
            note(
                "Run ",
                element("code", {}, "libertas evaluate"),
                " on the run and draw the report again with its result.",
            ),
        )
    rows = life.scores["bits_per_byte"]
    asked = _choices(life.scores["continuation"])
    for name, task in life.scores["tasks"].items():
        asked += _task(name, task, life.scores["leaks"])
    return section(
        "scores",
        _heading(rows),
        *(_bits(rows, life.scores["contamination"]) if rows else ()),
        *(asked or [note("No multiple-choice questions were asked.")]),
        _policies(life.scores),
    )


def _heading(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "What it answers"
    whole = rows[-1]
    return (
        f"A held-out byte costs the model {whole['model']['mean']:.2f} bits; a 5-gram model needs "
        f"{whole['ngram']['mean']:.2f}, zstd {whole['zstd']['mean']:.2f}"
    )


def _bits(rows: list[dict[str, Any]], contamination: dict[str, Any]) -> tuple[Markup, ...]:
    return (
        figure("bits", "Bits per byte of the model, a 5-gram model and zstd for each component"),
        _bits_table(rows),
        note(_contamination(contamination)),
    )


def _bits_table(rows: list[dict[str, Any]]) -> Markup:
    headings = ("component", "texts", "model", "5-gram", "zstd", "zstd primed", "seen", "clean", "contaminated")
    return table(
        headings,
        [
            (
                row["component"],
                f"{row['documents']:,}",
                element("b", {}, _estimate(row["model"], 3)),
                *(_estimate(row[key], 3) for key in ("ngram", "zstd", "zstd_primed")),
                _share(row["contaminated_share"]),
                _part(row["clean"], 3),
                _part(row["contaminated"], 3),
            )
            for row in rows
        ],
    )


def _choices(task: dict[str, Any]) -> list[Markup]:
    rows = task["protocols"]
    if not rows:
        return []
    means = [100 * row["accuracy"]["mean"] for row in rows]
    number = plural(task["items"], "question")
    table_rows = [
        (
            row["protocol"],
            element("b", {}, _estimate(row["accuracy"], 1, 100)),
            f"{100 * row['chance']:.1f}",
            f"{100 * row['answer_only']:.1f}",
            _share(row["contaminated_share"]),
            _part(row["clean"], 1, 100),
            _part(row["contaminated"], 1, 100),
        )
        for row in rows
    ]
    return [
        element("h3", {}, f"The same {number}, asked in three ways: {min(means):.0f} to {max(means):.0f} % right"),
        figure("choices", f"Accuracy under each protocol: {', '.join(f'{m:.1f} %' for m in means)}"),
        table(("protocol", "% right", "chance", "blind", "seen", "clean", "contaminated"), table_rows),
        note(
            "Which text continues the passage? ",
            f"The choice of protocol alone is worth {100 * task['spread']:.1f} points: ",
            element("b", {}, "letters"),
            " shows the choices and compares A, B, C, D; ",
            element("b", {}, "text"),
            " compares the probability of each choice's words; ",
            element("b", {}, "bytes"),
            " divides that by the choice's length. Blind: chosen without seeing the passage. ",
            "Bars are one standard error.",
        ),
    ]


def _task(name: str, task: dict[str, Any], leaks: dict[str, Any]) -> list[Markup]:
    """A task under every reading, with and without the items that stand in training, and some of these."""
    rows = task["protocols"]
    if not rows:
        return []
    own = leaks["tasks"].get(name)
    split = {row["protocol"]: row for row in own["protocols"]} if own else {}
    means = [100 * row["accuracy"]["mean"] for row in rows]
    table_rows = [
        (
            row["protocol"],
            element("b", {}, _estimate(row["accuracy"], 1, 100)),
            f"{100 * row['chance']:.1f}",
            *(_part(split.get(row["protocol"], {}).get(part), 1, 100) for part in ("clean", "leaked")),
        )
        for row in rows
    ]
    least, most = f"{min(means):.0f}", f"{max(means):.0f}"
    right = least if least == most else f"{least} to {most}"
    return [
        element("h3", {}, f"{name}: {plural(task['items'], 'question')}, {right} % right"),
        table(("reading", "% right", "chance", "clean", "leaked"), table_rows),
        note(_leaked(own, leaks), " ± is one standard error."),
        *(_hit(hit) for hit in (own["hits"] if own else ())),
    ]


def _leaked(own: dict[str, Any] | None, leaks: dict[str, Any]) -> str:
    if own is None:
        return f"Whether its items stand in training was not measured: {leaks['reason'] or 'it has none'}."
    counts = ", ".join(f"{number:,} {kind}" for kind, number in own["classes"].items() if number)
    return f"Looked up word for word in {plural(leaks['documents'], 'training document')}: {counts}."


def _hit(found: dict[str, Any]) -> Markup:
    hit = found["hit"]
    step = f"first read at step {hit['step']:,}" if hit["step"] else "read at no step"
    text = " ".join(hit["text"].split())
    where = f" {hit['url'] or hit['document']}, {step}."
    return note(element("b", {}, f"{found['item']}: {found['class']}"), f" “{text}”", where)


def _contamination(rule: dict[str, Any]) -> str:
    if not rule["measured"]:
        return "Contamination was not measured: evaluate with an index of the training tokens. ± is one standard error."
    return (
        f"Seen: the share of texts of whose tokens at least {percent(rule['coverage'])} stand in training in runs of "
        f"{rule['span_tokens']} or more; clean and contaminated are the scores of the others and of these, with their "
        "number. ± is one standard error. Primed: zstd with the component's training text as a dictionary."
    )


def _policies(scores: dict[str, Any]) -> Markup:
    rules = [element("li", {}, element("b", {}, name), f": {text}") for name, text in scores["policies"].items()]
    return element("details", {}, element("summary", {}, "The rules behind these numbers"), element("ul", {}, rules))


def _estimate(estimate: dict[str, Any] | None, digits: int, scale: float = 1) -> Child:
    if estimate is None:
        return "–"
    error = "?" if estimate["stderr"] is None else f"{scale * estimate['stderr']:.{digits}f}"
    return [f"{scale * estimate['mean']:.{digits}f}", element("small", {}, f" ±{error}")]


def _part(estimate: dict[str, Any] | None, digits: int, scale: float = 1) -> Child:
    if estimate is None:
        return "–"
    return [_estimate(estimate, digits, scale), element("small", {}, f" ({estimate['n']:,})")]


def _share(share: float | None) -> str:
    return "–" if share is None else percent(share)
