"""The charts, as figures for plotly.js: plain dictionaries whose colours are names of the page's CSS variables."""

from typing import Any

MOST_POINTS = 1500
"""Points drawn of a curve; longer runs are averaged over equal stretches of steps."""
SMOOTHING = 0.03
"""Share of the run over which the smooth curve averages."""

Figure = dict[str, Any]


def thinned(rows: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Last step and mean of each stretch, at most `MOST_POINTS` of them."""
    stretch = max(1, -(-len(rows) // MOST_POINTS))
    parts = [rows[i : i + stretch] for i in range(0, len(rows), stretch)]
    return [p[-1]["step"] for p in parts], [_short(sum(r[key] for r in p) / len(p)) for p in parts]


def smoothed(values: list[float], window: int) -> list[float]:
    """Mean of each value and its neighbours within half a window on both sides (fewer at the ends)."""
    half = window // 2
    parts = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [_short(sum(part) / len(part)) for part in parts]


def training_chart(rows: list[dict[str, Any]], checkpoints: list[int]) -> Figure:
    """Loss, held-out bits per byte, learning rate and kept checkpoints over steps; needs one row at least."""
    steps, loss = thinned(rows, "loss")
    window = 2 * round(SMOOTHING * len(loss) / 2) + 1
    highest = max(r["learning_rate"] for r in rows)
    measured = [r for r in rows if r.get("validation_bits_per_byte") is not None]
    data: list[Figure] = [
        _line(steps, loss, "loss", "var(--c0)", 1, opacity=0.3, hovertemplate="%{y:.3f}"),
        _line(steps, smoothed(loss, window), "smoothed", "var(--c0)", 2.2, hovertemplate="%{y:.3f}"),
        {
            **_line(
                [r["step"] for r in measured],
                [_short(r["validation_bits_per_byte"]) for r in measured],
                "held out, bits per byte",
                "var(--c1)",
                1.6,
                hovertemplate="%{y:.3f}",
            ),
            "mode": "lines+markers",
            "marker": {"size": 7, "color": "var(--c1)"},
            "yaxis": "y2",
        },
        {
            **_line(*thinned(rows, "learning_rate"), "learning rate", "var(--muted)", 1.4, hovertemplate="%{y:.2e}"),
            "yaxis": "y3",
            "showlegend": False,
        },
        {
            "x": checkpoints,
            "y": [0] * len(checkpoints),
            "name": "checkpoint kept",
            "mode": "markers",
            "type": "scatter",
            "marker": {"symbol": "line-ns-open", "size": 9, "color": "var(--ink)", "line": {"width": 1.2}},
            "hovertemplate": "step %{x}",
            "yaxis": "y4",
            "showlegend": False,
        },
    ]
    return {"data": data, "layout": _training_layout(rows[-1]["step"], loss, highest)}


def _training_layout(steps: int, loss: list[float], highest_rate: float) -> Figure:
    """Three bands over one axis of steps: loss and bits per byte, learning rate, checkpoints."""
    low, high = min(loss), max(loss)
    room = 0.06 * (high - low) or 0.1
    return {
        "height": 440,
        "margin": {"l": 58, "r": 58, "t": 34, "b": 40},
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "xaxis": {
            **_axis("step"),
            "unifiedhovertitle": {"text": "step %{x}"},
            "anchor": "y4",
            "range": [0, steps * 1.01],
        },
        "yaxis": {**_axis("loss, nats per token"), "domain": [0.27, 1], "range": [low - room, high + room]},
        "yaxis2": {
            **_axis("bits per byte"),
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "tickmode": "auto",
            "nticks": 6,
        },
        "yaxis3": {
            **_axis(""),
            "domain": [0.07, 0.2],
            "range": [0, 1.15 * highest_rate],
            "tickvals": [0, highest_rate],
            "ticktext": ["0", f"{highest_rate:g}"],
        },
        "yaxis4": {"domain": [0, 0.05], "visible": False, "range": [-1, 1], "fixedrange": True},
        "annotations": [
            {
                "text": "learning rate",
                "xref": "paper",
                "yref": "paper",
                "x": 0.995,
                "y": 0.2,
                "xanchor": "right",
                "yanchor": "top",
                "showarrow": False,
            }
        ],
    }


def bits_chart(rows: list[dict[str, Any]]) -> Figure:
    """Bits per byte of the model and its comparators per component, with standard errors; lower is better."""
    series = (
        ("zstd", "zstd", "var(--muted)", "line-ns-open"),
        ("zstd_primed", "zstd primed", "var(--muted)", "circle-open"),
        ("ngram", "5-gram", "var(--c1)", "diamond"),
        ("model", "model", "var(--c0)", "circle"),
    )
    names = [r["component"] for r in rows][::-1]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": label,
            "x": [_short(r[key]["mean"]) for r in rows][::-1],
            "y": names,
            "error_x": {"array": [r[key]["stderr"] or 0 for r in rows][::-1], "thickness": 1.4, "width": 0},
            "marker": {
                "symbol": symbol,
                "size": 11 if key == "model" else 9,
                "color": colour,
                "line": {"width": 1.5, "color": colour},
            },
            "hovertemplate": f"{label}: %{{x:.3f}}<extra>%{{y}}</extra>",
        }
        for key, label, colour, symbol in series
    ]
    layout = {
        "height": 130 + 38 * len(rows),
        "margin": {"l": 84, "r": 16, "t": 34, "b": 42},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "xaxis": _axis("bits per byte, lower is better"),
        "yaxis": {"type": "category", "fixedrange": True, "showgrid": True, "gridcolor": "var(--line)"},
    }
    return {"data": data, "layout": layout}


def choices_chart(rows: list[dict[str, Any]]) -> Figure:
    """Accuracy per protocol, all questions and those not seen in training, with standard errors and chance."""
    series = (
        ("accuracy", "all questions", "var(--c0)"),
        ("clean", "clean", "var(--c2)"),
        ("contaminated", "seen in training", "var(--c3)"),
    )
    data = []
    for place, (key, label, colour) in enumerate(series):
        found = [(i, r[key]) for i, r in enumerate(rows) if r[key]]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": [i + 0.16 * (place - 1) for i, _ in found],
                "y": [_short(100 * e["mean"]) for _, e in found],
                "error_y": {"array": [100 * (e["stderr"] or 0) for _, e in found], "thickness": 1.6, "width": 5},
                "marker": {"size": 10, "color": colour},
                "customdata": [e["n"] for _, e in found],
                "hovertemplate": f"{label}: %{{y:.1f}} % of %{{customdata}}<extra></extra>",
            }
        )
    chance = 100 * rows[0]["chance"]
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": chance, "y1": chance}
    layout = {
        "height": 330,
        "margin": {"l": 46, "r": 16, "t": 34, "b": 36},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "xaxis": {
            "tickvals": list(range(len(rows))),
            "ticktext": [r["protocol"] for r in rows],
            "range": [-0.5, len(rows) - 0.5],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {**_axis("% right"), "rangemode": "tozero"},
        "shapes": [{**line, "line": {"color": "var(--muted)", "width": 1, "dash": "dash"}}],
        "annotations": [
            {
                "text": "chance",
                "xref": "paper",
                "x": 0,
                "y": chance,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        ],
    }
    return {"data": data, "layout": layout}


def _line(
    x: list[int], y: list[float], name: str, colour: str, width: float, *, opacity: float = 1, hovertemplate: str
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "name": name,
        "opacity": opacity,
        "line": {"color": colour, "width": width},
        "hovertemplate": hovertemplate,
    }


def _axis(title: str) -> Figure:
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "gridcolor": "var(--line)",
        "zeroline": False,
        "fixedrange": True,
    }


def _short(number: float) -> float:
    """Five significant digits are more than a screen shows."""
    return float(f"{number:.5g}")
