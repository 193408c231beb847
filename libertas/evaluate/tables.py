"""Scores as tables for a terminal of 80 columns; what was not measured says so."""

from typing import Any

from rich import box
from rich.table import Table


def score_tables(scores: dict[str, Any]) -> list[Table]:
    """Bits per byte by component, then multiple choice by protocol; `scores` is the `libertas` part of a result."""
    rows = scores["bits_per_byte"]
    found = [_bits_table(scores), _rivals_table(rows)] if rows else []
    if scores["continuation"]["protocols"]:
        found.append(_choice_table("Which text continues the passage?", scores["continuation"]))
    return [*found, *(_choice_table(f"{name}:", task) for name, task in scores["tasks"].items())]


def _bits_table(scores: dict[str, Any]) -> Table:
    headings = ("texts", "sites", "model", "per text", "seen", "unseen")
    title = "Bits per byte of held-out text, lower is better"
    notes = f"{_contamination_rule(scores)}\n±: standard error, over sites where there are several"
    notes += "\nper text: each text counts the same; as mixed: components as training read them;"
    notes += "\nPile's and lm-eval's: as these define it (`policies` in results.json)"
    table = narrow_table(title, notes, "component", headings)
    for row in scores["bits_per_byte"]:
        table.add_row(
            row["component"],
            f"{row['documents']:,}",
            f"{row['sites']:,}",
            estimate_text(row["model"], 3),
            estimate_text(row["macro"]["model"], 3),
            "-" if row["contaminated_share"] is None else f"{row['contaminated_share']:.0%}",
            part_text(row["clean"], 3),
        )
    whole = scores["bits_per_byte"][-1]
    mixed = whole["by_mixture"]
    for name, found in (
        ("as mixed", mixed and mixed["model"]),
        ("Pile's", whole["pile"]),
        ("lm-eval's", whole["lm_eval"]),
    ):
        table.add_row(name, "", "", estimate_text(found, 3), "", "", "")
    return table


def _rivals_table(rows: list[dict[str, Any]]) -> Table:
    """What compressors and a 5-gram model make of the same texts, weighted as the model is."""
    notes = "primed: zstd with the component's training text as a dictionary; xz: LZMA2 -9e without its container"
    table = narrow_table("The same texts in bits per byte of", notes, "component", ("5-gram", "zstd", "primed", "xz"))
    rivals = ("ngram", "zstd", "zstd_primed", "xz")
    for row in rows:
        table.add_row(row["component"], *(estimate_text(row[name], 3) for name in rivals))
    if mixed := rows[-1]["by_mixture"]:
        table.add_row("as mixed", *(estimate_text(mixed[name], 3) for name in rivals))
    return table


def _choice_table(name: str, task: dict[str, Any]) -> Table:
    rows = task["protocols"]
    first = rows[0]
    notes = [
        f"spread over protocols: {100 * task['spread']:.1f} points; blind: chosen without the passage or question",
        "~: not told apart from chance; finds: the distance from it found in 4 cases of 5;\n"
        "parts: each counts the same",
    ]
    truncated = max(row["truncated"] for row in rows)
    if truncated:
        notes.append(f"up to {truncated:,} prompts of a protocol were longer than the context and were cut at the left")
    title = f"{name} {task['items']:,} questions, % right"
    headings = ("accuracy", "finds", "blind", "unseen", "seen")
    table = narrow_table(title, "\n".join(notes), "protocol", headings)
    for name in ("chance", "majority"):
        shown = {"chance": "chance", "majority": "commonest place"}[name]
        table.add_row(shown, f"{100 * first[name]:.1f}", "", "", "", "")
    for row in rows:
        mark = "~" if row["against_chance"] == "undecided" else " "
        blind = {"mean": row["answer_only"], "stderr": row["answer_only_stderr"]}
        table.add_row(
            row["protocol"],
            estimate_text(row["accuracy"], 1, 100) + mark,
            "?" if row["detectable"] is None else f"{100 * row['detectable']:.1f}",
            "-" if row["answer_only"] is None else estimate_text(blind, 1, 100),
            part_text(row["clean"], 1, 100),
            part_text(row["contaminated"], 1, 100),
        )
        if row["macro"] and round(1000 * row["macro"]["mean"]) != round(1000 * row["accuracy"]["mean"]):
            name = f" {len(row['components']):,} parts"
            table.add_row(name, estimate_text(row["macro"], 1, 100) + " ", "", "", "", "")
    return table


def narrow_table(title: str, caption: str, name: str, headings: tuple[str, ...]) -> Table:
    """A table that fits 80 columns: names at the left, numbers at the right."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.box, table.padding = box.SIMPLE_HEAD, (0, 0, 0, 1)  # narrow, to fit 80 columns
    table.add_column(name, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def estimate_text(estimate: dict[str, Any] | None, digits: int, scale: float = 1, sign: str = "") -> str:
    """A number with its standard error; with its interval, where all items agree; a dash where it was not measured."""
    if estimate is None:
        return "-"
    mean, interval = f"{scale * estimate['mean']:{sign}.{digits}f}", estimate.get("interval")
    if estimate["stderr"] is None:
        return f"{mean} ±?"
    if not estimate["stderr"] and interval and interval[0] < interval[1]:
        low, high = (round(scale * limit) for limit in interval)
        return f"{mean} ({low}..{high})"
    return f"{mean} ±{scale * estimate['stderr']:.{digits}f}"


def part_text(estimate: dict[str, Any] | None, digits: int, scale: float = 1) -> str:
    """A score over some of the records with their number, or a dash where there are none."""
    if estimate is None:
        return "-"
    return f"{estimate_text(estimate, digits, scale)} ({estimate['n']:,})"


def _contamination_rule(scores: dict[str, Any]) -> str:
    rule = scores["contamination"]
    if not rule["measured"]:
        return "seen in training: not measured; give an index of the training tokens (`libertas index`)"
    return (
        f"seen: at least {rule['coverage']:.0%} of the scored tokens stand in training in runs of "
        f"{rule['span_tokens']} or more"
    )
