"""Scores as tables for a terminal of 80 columns; what was not measured says so."""

from typing import Any

from rich import box
from rich.table import Table


def score_tables(scores: dict[str, Any]) -> list[Table]:
    """Bits per byte by component, then multiple choice by protocol; `scores` is the `libertas` part of a result."""
    found = [_bits_table(scores)] if scores["bits_per_byte"] else []
    if scores["continuation"]["protocols"]:
        found.append(_choice_table("Which text continues the passage?", scores["continuation"]))
    return [*found, *(_choice_table(f"{name}:", task) for name, task in scores["tasks"].items())]


def _bits_table(scores: dict[str, Any]) -> Table:
    headings = ("texts", "model", "5-gram", "zstd", "primed", "seen", "unseen")
    table = narrow_table(
        "Bits per byte of held-out text, lower is better", _contamination_rule(scores), "component", headings
    )
    for row in scores["bits_per_byte"]:
        table.add_row(
            row["component"],
            f"{row['documents']:,}",
            _estimate(row["model"], 3),
            *(f"{row[name]['mean']:.3f}" for name in ("ngram", "zstd", "zstd_primed")),
            "-" if row["contaminated_share"] is None else f"{row['contaminated_share']:.0%}",
            f"{row['clean']['mean']:.3f} ({row['clean']['n']:,})" if row["clean"] else "-",
        )
    return table


def _choice_table(name: str, task: dict[str, Any]) -> Table:
    rows = task["protocols"]
    first = rows[0]
    notes = [
        f"spread over protocols: {100 * task['spread']:.1f} points; "
        f"always the commonest place: {100 * first['majority']:.1f}",
        "blind: chosen without the passage",
    ]
    truncated = max(row["truncated"] for row in rows)
    if truncated:
        notes.append(f"up to {truncated:,} prompts of a protocol were longer than the context and were cut at the left")
    title = f"{name} {task['items']:,} questions, % right"
    headings = ("accuracy", "chance", "blind", "unseen", "seen")
    table = narrow_table(title, "\n".join(notes), "protocol", headings)
    for row in rows:
        table.add_row(
            row["protocol"],
            _estimate(row["accuracy"], 1, 100),
            *(f"{100 * row[name]:.1f}" for name in ("chance", "answer_only")),
            _part(row["clean"], 1, 100),
            _part(row["contaminated"], 1, 100),
        )
    return table


def narrow_table(title: str, caption: str, name: str, headings: tuple[str, ...]) -> Table:
    """A table that fits 80 columns: names at the left, numbers at the right."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.box, table.padding = box.SIMPLE_HEAD, (0, 0, 0, 1)  # narrow, to fit 80 columns
    table.add_column(name, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _estimate(estimate: dict[str, Any], digits: int, scale: float = 1) -> str:
    error = "?" if estimate["stderr"] is None else f"{scale * estimate['stderr']:.{digits}f}"
    return f"{scale * estimate['mean']:.{digits}f} ±{error}"


def _part(estimate: dict[str, Any] | None, digits: int, scale: float = 1) -> str:
    """A score over some of the records with their number, or a dash where there are none."""
    if estimate is None:
        return "-"
    return f"{_estimate(estimate, digits, scale)} ({estimate['n']:,})"


def _contamination_rule(scores: dict[str, Any]) -> str:
    rule = scores["contamination"]
    if not rule["measured"]:
        return "seen in training: not measured; give an index of the training tokens (`libertas index`)"
    return (
        f"seen: at least {rule['coverage']:.0%} of the scored tokens stand in training in runs of "
        f"{rule['span_tokens']} or more"
    )
