"""A comparison for the terminal, and what the gate says."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from libertas.evaluate.compare import (
    BITS,
    GO,
    INCONCLUSIVE,
    NO_GO,
    Comparison,
    Difference,
    Flip,
    NoGo,
    TooFewItems,
)
from libertas.evaluate.statistics import Estimate, detectable
from libertas.evaluate.tables import estimate_text, narrow_table
from libertas.terminal import printable

WIDTH = 80
"""Columns of the lines about items."""


def comparison_tables(comparison: Comparison) -> Iterable[object]:
    """The scores side by side, some items that changed sides, and what the gate says.

    Raises:
        NoGo: the gate was asked, and a score fell by more than the margin.
        TooFewItems: the gate was asked, and the items do not tell.
    """
    config, rows = comparison.config, comparison.differences
    several = len(config.results) > 2
    gate = config.margin if config.gate else None
    yield _against_first(rows, gate) if several else _side_by_side(rows, gate)
    if comparison.left_out:
        yield f"left out: {comparison.left_out:,} records of items or documents that not all results have"
    for row in rows:
        yield from _changes(row, config.flips, several)
    if comparison.ranks:
        yield from _rank_tables(comparison.ranks)
    if gate is None:
        return
    for verdict, error in ((NO_GO, NoGo), (INCONCLUSIVE, TooFewItems)):
        found = [f"{r.name} ({r.result})" if several else r.name for r in rows if r.verdict(gate) == verdict]
        if found:
            raise error(f"{verdict} at a margin of {gate:g}: {', '.join(found)}")
    yield f"{GO}: no score fell by more than the margin of {gate:g}"


def _side_by_side(rows: list[Difference], gate: float | None) -> Table:
    notes = "difference: paired; finds: the difference these items find in 4 cases of 5"
    headings: tuple[str, ...] = ("n", "old", "new", "difference", "finds")
    if gate is not None:
        notes += "\ngate: by the 95 % interval of the difference"
        headings = (*headings[1:], "gate")
    table = narrow_table("The same items, two models", notes, "score", headings)
    for row in rows:
        values = (_value(row.old, row), _value(row.new, row), _value(row.difference, row, "+"), _finds(row))
        cells = (f"{row.difference.n:,}", *values) if gate is None else (*values, row.verdict(gate))
        table.add_row(_name(row), *cells)
    return table


def _against_first(rows: list[Difference], gate: float | None) -> Table:
    notes = "difference: paired, from the first; finds: what these items find in 4 of 5 cases"
    headings = ("n", "value", "difference", "finds", *(() if gate is None else ("gate",)))
    table = narrow_table("The same items, all against the first", notes, "score, result", headings)
    last = ""
    for row in rows:
        if row.name != last:
            rest = [""] * (len(headings) - 2)
            table.add_row(_name(row), f"{row.difference.n:,}", _value(row.old, row), *rest, style="bold")
        last = row.name
        values = (_value(row.new, row), _value(row.difference, row, "+"), _finds(row))
        verdict = () if gate is None else (row.verdict(gate),)
        table.add_row(escape(f"  {printable(row.result.name)}"), "", *values, *verdict)
    return table


def _name(row: Difference) -> str:
    return "bits per byte" if row.name == BITS else row.name


def _value(found: Estimate, row: Difference, sign: str = "") -> str:
    scale, digits = (100, 1) if row.higher_is_better else (1, 3)
    return estimate_text(found.to_json(), digits, scale, sign)


def _finds(row: Difference) -> str:
    scale, digits = (100, 1) if row.higher_is_better else (1, 3)
    found = detectable(row.difference)
    return "?" if found is None else f"{scale * found:.{digits}f}"


def _changes(row: Difference, most: int, several: bool) -> Iterator[Text]:
    """How many items changed sides, and some of them."""
    if not row.won and not row.lost:
        return
    name = f"{row.name}, {printable(row.result.name)}" if several else row.name
    told = "" if row.probability is None else f"; p {row.probability:.3f} (McNemar, exact)"
    yield Text(f"{name}: {len(row.won):,} won, {len(row.lost):,} lost{told}")
    for sign, flips in (("+", row.won), ("-", row.lost)):
        for flip in flips[:most]:
            yield from _flip_lines(sign, flip)


def _flip_lines(sign: str, flip: Flip) -> Iterator[Text]:
    """What was asked, and what either model said; how sure each was of the right answer."""
    yield _line(f"  {sign} {flip.item}: {flip.asked}")
    yield _line(f"      right {_sure(flip.old_probability)} -> {_sure(flip.new_probability)}: {flip.right}")
    yield _line(f"      old: {flip.old}")
    yield _line(f"      new: {flip.new}")


def _rank_tables(ranks: Mapping[str, Any]) -> Iterator[object]:
    """Who leads in how many cells of the sensitivity grids, and where two models change places."""
    notes = "cells: ways of asking under which the one leads; beyond noise: both leads are, over all cells"
    table = narrow_table("However they are asked", notes, "task", ("tau", "lowest", "models", "cells", "change places"))
    flips = []
    for task, told in ranks.items():
        for pair in told["pairs"]:
            one, two = (Path(model).name for model in pair["models"])
            changed = "beyond noise" if pair["beyond_noise"] else "within noise" if pair["flips"] else "no"
            taus = (_tau(told["tau_mean"]), _tau(told["tau_lowest"]))
            cells = f"{pair['ahead']:,} : {pair['behind']:,}"
            table.add_row(printable(task), *taus, printable(f"{one} : {two}"), cells, changed)
            if pair["flips"]:
                flips += [_lead(task, one, pair["most_ahead"], 1), _lead(task, two, pair["most_behind"], -1)]
    yield table
    yield from flips


def _tau(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _lead(task: str, model: str, lead: Mapping[str, Any], sign: int) -> Text:
    cell = lead["cell"]
    asked = f"{cell['protocol']}/{cell['normalization']}, {cell['wording']}, {cell['shots']} examples"
    error = "?" if lead["stderr"] is None else f"{100 * lead['stderr']:.1f}"
    return _line(f"  {task}: {model} leads by {100 * sign * lead['difference']:.1f} ±{error} under {asked}")


def _sure(probability: float | None) -> str:
    return "-" if probability is None else f"{probability:.0%}"


def _line(text: str) -> Text:
    """Words of a data set on one line of the terminal."""
    words = printable(" ".join(text[: 4 * WIDTH].split()))
    indent = " " * (len(text) - len(text.lstrip(" ")))
    shown = indent + words
    return Text(shown if len(shown) <= WIDTH else shown[: WIDTH - 1] + "…")
