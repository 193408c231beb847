"""The charts of a datasheet, as figures for plotly.js whose colours are names of the page's CSS variables.

Plotly reads a little HTML in labels, and names as templates: whatever comes from data goes through `label`.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from libertas.serve.charts import Figure

COLOURS = 6
MOST_SERIES = 8
"""Components drawn; tables have them all."""
BARS = 16
YEARS = (1900, 2100)
"""Dates outside are slips of the pen."""
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "%": "%\u200b", "$": "\uff04"}


def label(text: object, most: int = 26) -> str:
    """Text from data as plotly may show it: no markup, template or formula, no character that turns a line round."""
    plain = "".join(c if unicodedata.category(c)[0] != "C" else "\ufffd" for c in str(text)[: most + 1])
    plain = plain if len(plain) <= most else plain[: most - 1] + "…"
    return "".join(ENTITIES.get(c, c) for c in plain)


def length_figure(lengths: Mapping[str, Mapping[str, Any]], order: Sequence[str]) -> Figure:
    """Share of each component's documents by length in characters, in powers of two."""
    data = []
    for number, name in enumerate(order[:MOST_SERIES]):
        histogram = [(max(start, 1), count) for start, count in lengths[name]["characters"]["histogram"]]
        histogram = [(histogram[0][0] / 2, 0), *histogram, (2 * histogram[-1][0], 0)] if histogram else []
        total = sum(count for _, count in histogram) or 1
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": label(name),
                "x": [start * 2**0.5 for start, _ in histogram],
                "y": [short_number(100 * count / total) for _, count in histogram],
                "line": {"color": colour(number), "width": 2.2, "shape": "spline", "smoothing": 0.6},
                "fill": "tozeroy" if len(order) == 1 else "none",
                "hovertemplate": "%{y:.1f} % of documents<extra>" + label(name) + "</extra>",
            }
        )
    layout = {
        **_frame(300, left=46),
        "hovermode": "closest",
        "xaxis": {**_axis("characters of a document"), "type": "log", "dtick": 1, "showgrid": True},
        "yaxis": {**_axis("% of documents"), "rangemode": "tozero"},
    }
    return {"data": data, "layout": layout}


def bar_figure(rows: Sequence[Mapping[str, Any]], total: int, what: str) -> Figure:
    """Documents of the most frequent names, as bars."""
    shown = list(rows[:BARS])[::-1]
    data = {
        "type": "bar",
        "orientation": "h",
        "x": [row["documents"] for row in shown],
        "y": list(range(len(shown))),
        "marker": {"color": "var(--c0)"},
        "text": [f"{row['documents']:,}" for row in shown],
        "customdata": [short_number(100 * row["documents"] / max(total, 1)) for row in shown],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{x:,}, %{customdata} %<extra></extra>",
    }
    largest = max((row["documents"] for row in shown), default=1)
    layout = {
        **_frame(46 + 25 * max(len(shown), 2), left=0, top=4),
        "bargap": 0.35,
        "xaxis": {**_axis(what), "range": [0, 1.15 * largest], "nticks": 5},
        "yaxis": _named([row["name"] for row in shown]),
    }
    return {"data": [data], "layout": layout}


def year_figure(dates: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Documents by year of publication and, where that is not a single year, of fetching."""
    data: list[Figure] = []
    for number, what in enumerate(("published", "fetched")):
        years = counted_years(dates[what]["top"])
        if number and len(years) < 2 and data[0]["x"]:
            continue
        data.append(
            {
                "type": "bar",
                "name": what,
                "x": [year for year, _ in years],
                "y": [count for _, count in years],
                "marker": {"color": colour(number)},
                "hovertemplate": "%{x}: %{y:,}<extra>" + what + "</extra>",
            }
        )
    layout = {
        **_frame(260, left=52),
        "barmode": "group",
        "xaxis": {**_axis("year"), "tickformat": "d", "showgrid": False},
        "yaxis": _axis("documents"),
    }
    return {"data": data, "layout": layout}


def counted_years(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Documents by year, from the first to the last that makes sense, the archive's 1970 left out."""
    found = {int(row["name"]): int(row["documents"]) for row in rows if row["name"].isdigit()}
    return sorted((y, n) for y, n in found.items() if YEARS[0] <= y <= YEARS[1] and y != 1970)


def topic_figure(topics: Sequence[Mapping[str, Any]], order: Sequence[str]) -> Figure:
    """Share of each topic in each component, as shades."""
    shown, names = list(topics)[::-1], order[:MOST_SERIES]
    data = {
        "type": "heatmap",
        "x": list(range(len(names))),
        "y": list(range(len(shown))),
        "z": [[short_number(100 * t["components"].get(name, 0.0)) for name in names] for t in shown],
        "colorscale": [[0, "var(--sheet)"], [1, "var(--c0)"]],
        "zmin": 0,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "texttemplate": "%{z:.0f}",
        "hovertemplate": "%{z:.1f} %<extra></extra>",
    }
    layout = {
        **_frame(60 + 24 * max(len(shown), 2), left=0, top=28),
        "xaxis": {
            "side": "top",
            "tickvals": list(range(len(names))),
            "ticktext": [label(name, 16) for name in names],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
        },
        "yaxis": _named([" ".join(t["words"][:3]) for t in shown]),
    }
    return {"data": [data], "layout": layout}


def compression_figure(components: Mapping[str, Any], order: Sequence[str]) -> Figure:
    """Compressed bytes per byte of each component, with 95 % intervals; fewer means more repetition."""
    names = [name for name in order if name in components][:MOST_SERIES][::-1]
    series = (("zstd_3", "zstd 3", "line-ns-open"), ("zstd_19", "zstd 19", "diamond"), ("xz", "xz", "circle"))
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": text,
            "x": [components[name][codec]["mean"] for name in names],
            "y": list(range(len(names))),
            "error_x": {
                "array": [components[name][codec]["interval"] or 0 for name in names],
                "thickness": 1.4,
                "width": 3,
            },
            "marker": {
                "symbol": symbol,
                "size": 10,
                "color": colour(number),
                "line": {"width": 1.6, "color": colour(number)},
            },
            "hovertemplate": text + ": %{x:.3f}<extra></extra>",
        }
        for number, (codec, text, symbol) in enumerate(series)
    ]
    layout = {
        **_frame(110 + 34 * len(names), left=0),
        "xaxis": {**_axis("compressed bytes per byte of text"), "rangemode": "tozero"},
        "yaxis": {**_named(names), "showgrid": True, "range": [-0.6, len(names) - 0.4]},
    }
    return {"data": data, "layout": layout}


def colour(number: int) -> str:
    """The colour of a component or series by its place."""
    return f"var(--c{number % COLOURS})"


def short_number(number: float) -> float:
    """Four significant digits are more than a screen shows."""
    return float(f"{number:.4g}")


def _named(names: Sequence[object]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [label(name) + "\u2002" for name in names],
        "automargin": True,
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "gridcolor": "var(--line)",
        "ticks": "",
    }


def _axis(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "gridcolor": "var(--line)",
        "zeroline": False,
        "fixedrange": True,
    }


def _frame(height: int, left: int, top: int = 30) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": left, "r": 16, "t": top, "b": 42},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    }
