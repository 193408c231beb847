"""Plots of the sensitivity report as SVG in the page itself; colours are names of the page's CSS variables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libertas.evaluate.protocol import LETTERS
from libertas.evaluate.sensitivity.report import protocol_ranges
from libertas.page.markup import Child, Markup, element

WIDTH = 900
"""Of a plot over the whole column, in its own units."""
LEFT, RIGHT = 128, 96
"""Room for names and for numbers beside a plot."""
SMALL = 220
"""Width of one of several plots in a row."""


def _drawing(width: int, height: float, told: str, *children: Child) -> Markup:
    return element("svg", {"viewBox": f"0 0 {width} {height:.0f}", "role": "img", "aria-label": told}, *children)


def _text(x: float, y: float, said: str, kind: str = "") -> Markup:
    return element("text", {"x": x, "y": y, **({"class": kind} if kind else {})}, said)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def _box(x: float, y: float, width: float, height: float, kind: str, *children: Child) -> Markup:
    return element("rect", {"x": x, "y": y, "width": width, "height": height, "class": kind}, *children)


def _dot(x: float, y: float, radius: float, kind: str, told: str) -> Markup:
    return element("circle", {"cx": x, "cy": y, "r": radius, "class": kind}, element("title", {}, told))


@dataclass(frozen=True, slots=True)
class _Scale:
    """From shares to places along a line."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round shares, at most seven or so."""
        step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (self.high - self.low) / s <= 8 or s == 0.2)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _scale_of(values: Sequence[float]) -> _Scale:
    """A scale over all values, its ends at whole twentieths."""
    low, high = math.floor(20 * min(values) + 1e-9) / 20, math.ceil(20 * max(values) - 1e-9) / 20
    low = min(max(low, 0.0), 0.95)
    return _Scale(low, min(max(high, low + 0.05), 1.0), LEFT, WIDTH - RIGHT)


def cells_plot(task: Mapping[str, Any]) -> Markup:
    """Every cell with its error, by protocol and in order of its score, beside chance and what noise alone would do."""
    noise, chance = task["noise"], task["chance"]
    reach = [row["mean"] + side * (row["stderr"] or 0) for row in task["cells"] for side in (-1, 1)]
    scale = _scale_of([*reach, noise["low"], noise["high"], chance])
    top = 30.0
    drawn: list[Child] = []
    y = top
    for group in protocol_ranges(task):
        rows = sorted((r for r in task["cells"] if r["protocol"] == group["protocol"]), key=lambda r: float(r["mean"]))
        step = min(5.0, max(1.5, 110 / len(rows)))
        room = max(22.0, step * len(rows))
        middle, first = y + room / 2, y + (room - step * len(rows)) / 2
        drawn.append(_text(LEFT - 12, middle + 4, group["protocol"], "name end"))
        span = f"{100 * group['low']:.1f} – {100 * group['high']:.1f}"
        drawn.append(_text(WIDTH, middle + 4, span, "end"))
        kind = "published" if group["published"] else "plain"
        for number, row in enumerate(rows):
            drawn += _whisker(scale, first + step * (number + 0.5), row, kind)
        y += room + 10
    behind: list[Child] = [
        _box(
            scale.at(max(noise["low"], 0)),
            top - 4,
            scale.at(noise["high"]) - scale.at(max(noise["low"], 0)),
            y - top,
            "noise",
        )
    ]
    for tick in scale.ticks():
        behind += [
            _line(scale.at(tick), top - 4, scale.at(tick), y - 4, "grid"),
            _text(scale.at(tick), y + 12, f"{100 * tick:.0f} %", "middle"),
        ]
    behind += [
        _line(scale.at(chance), top - 10, scale.at(chance), y - 4, "rule"),
        _text(scale.at(chance), top - 15, f"chance {100 * chance:.1f}", "middle"),
    ]
    told = f"Accuracy of {len(task['cells'])} cells by protocol; the tables below hold the same numbers"
    return _drawing(WIDTH, y + 18, told, *behind, *drawn)


def _whisker(scale: _Scale, y: float, row: Mapping[str, Any], kind: str) -> list[Child]:
    error, x = row["stderr"] or 0.0, scale.at(row["mean"])
    shots = f"{row['shots']} examples" + (f", draw {row['seed']}" if row["shots"] else "")
    told = f"{100 * row['mean']:.1f} ±{100 * error:.1f}: {row['normalization']}, {row['wording']}, {shots}"
    low, high = max(row["mean"] - error, scale.low), min(row["mean"] + error, scale.high)
    return [
        _line(scale.at(low), y, scale.at(high), y, f"whisker {kind}"),
        element(
            "circle", {"cx": x, "cy": y, "r": 1.9, "class": kind}, element("title", {}, f"{told}, order {row['order']}")
        ),
    ]


def effects_plot(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Each factor's share of the variance between cells, and below it the share that noise alone would make."""
    largest = max([row["share"] for row in rows] + [row["noise_share"] for row in rows] + [0.01])
    left = LEFT + 36
    scale = _Scale(0.0, largest, left, WIDTH - RIGHT)
    drawn: list[Child] = []
    for number, row in enumerate(rows):
        y = 24.0 * number
        drawn += [
            _text(left - 12, y + 15, row["name"].replace(" x ", " × "), "name end"),
            _box(left, y + 5, max(scale.at(row["share"]) - left, 0.5), 9, "share"),
            _box(left, y + 15, max(scale.at(row["noise_share"]) - left, 0.5), 4, "less"),
            _text(WIDTH, y + 15, f"{100 * row['share']:.1f} %", "strong end"),
        ]
    return _drawing(
        WIDTH, 24.0 * len(rows) + 4, "Share of the variance by factor; the table has the same numbers", *drawn
    )


def places_plot(row: Mapping[str, Any]) -> Markup:
    """How often each place is chosen, beside how often it is right."""
    count, base = len(row["chosen"]), 120.0
    highest = max([*row["chosen"], *row["gold"]])
    width = SMALL / count
    drawn: list[Child] = [_line(0, base, SMALL, base, "grid")]
    for place, (chosen, gold) in enumerate(zip(row["chosen"], row["gold"], strict=True)):
        x, heights = width * place, [100 * share / highest for share in (chosen, gold)]
        told = element("title", {}, f"{LETTERS[place]}: chosen {100 * chosen:.1f} %, right {100 * gold:.1f} %")
        drawn += [
            _box(x + 0.14 * width, base - heights[0], 0.36 * width, heights[0], "share", told),
            _box(x + 0.52 * width, base - heights[1], 0.34 * width, heights[1], "less"),
            _text(x + width / 2, base + 15, LETTERS[place], "middle"),
        ]
        if count <= 5:
            drawn.append(_text(x + 0.32 * width, base - heights[0] - 4, f"{100 * chosen:.0f}", "middle"))
    return _drawing(SMALL, base + 20, f"{row['protocol']}: places chosen and right, as in the table", *drawn)


def reliability_plot(row: Mapping[str, Any]) -> Markup:
    """Accuracy by confidence; on the diagonal the model can be believed. Areas of the dots are numbers of answers."""
    left, size = 34.0, SMALL - 44.0
    x, y = _Scale(0, 1, left, left + size), _Scale(0, 1, size + 8, 8)
    drawn: list[Child] = []
    for tick in (0.0, 0.5, 1.0):
        drawn += [
            _line(x.at(tick), y.at(0), x.at(tick), y.at(1), "grid"),
            _line(x.at(0), y.at(tick), x.at(1), y.at(tick), "grid"),
            _text(x.at(tick), size + 24, f"{100 * tick:.0f}", "middle"),
            _text(left - 7, y.at(tick) + 4, f"{100 * tick:.0f}", "end"),
        ]
    points = [(x.at(b["confidence"]), y.at(b["accuracy"]), b) for b in row["bins"]]
    line = " ".join(f"{across:.1f},{up:.1f}" for across, up, _ in points)
    drawn += [
        _line(x.at(0), y.at(0), x.at(1), y.at(1), "rule"),
        element("polyline", {"points": line, "class": "curve"}),
    ]
    for across, up, one in points:
        told = f"{one['n']:,} answers, {100 * one['confidence']:.1f} % sure, {100 * one['accuracy']:.1f} % right"
        radius = 2.0 + 7.0 * math.sqrt(one["n"] / row["n"])
        drawn.append(
            element("circle", {"cx": across, "cy": up, "r": radius, "class": "share"}, element("title", {}, told))
        )
    return _drawing(SMALL, size + 30, f"{row['protocol']}: accuracy by confidence, as in the table", *drawn)
