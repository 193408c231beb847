"""What a model is and costs, on one screen, before anything is allocated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.model.cost import (
    FLOP_FORMULAS,
    cache_bytes_per_token,
    forward_flops_per_token,
    parameters,
    training_flops_per_token,
)
from libertas.model.sizes import named_size, of_depth

PRECISIONS = {"fp32": 4, "bf16": 2}
"""Bytes of a number, by the precision of the computation."""
STATE_BYTES = {"fp32": 4 + 4 + 8, "bf16": 4 + 2 + 4 + 8}
"""Bytes that training keeps for each parameter: weight, (its copy to compute with,) gradient, Adam's two averages."""
ACTIVATIONS_PER_LAYER = 34
"""Numbers of 2 bytes, in model widths, that a layer keeps for the backward pass of a token, without attention scores
(Korthikanti et al. 2022, equation 2: 34 s b h bytes in mixed precision)."""


NOTATION = "L layers, D width, H heads, G heads of keys, K head width, F hidden, V words, E experts"
"""Of `FLOP_FORMULAS`."""


@dataclass(frozen=True, kw_only=True)
class SheetConfig:
    """Show what a model is and costs: its shape, parameters, operations, and memory."""

    name: str = ""
    """A named size, such as gpt-neox-20b."""
    depth: int = 0
    """Instead of a name, a modern model of so many layers, whose other widths follow."""
    batch: int = 8
    """Sequences that are trained on at a time, for the memory."""
    precision: str = "bf16"
    """Precision of the computation: `bf16` with fp32 master weights, or `fp32`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if bool(self.name) == bool(self.depth):
            raise UsageError("name or depth is expected, one of them; for example `libertas model pythia-160m`")
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision is {self.precision!r}; expected {' or '.join(PRECISIONS)}")
        if self.batch < 1:
            raise UsageError(f"batch is {self.batch}; expected 1 or more sequences")


def model_sheet(config: SheetConfig) -> tuple[SheetConfig, ModelConfig]:
    """The shape that is asked for.

    Raises:
        UsageError: no size has the name, or the depth makes no model.
    """
    return config, named_size(config.name) if config.name else of_depth(config.depth)


def training_bytes(shape: ModelConfig, batch: int, precision: str) -> dict[str, int]:
    """Bytes that training on full contexts takes: state of every parameter, activations, logits."""
    tokens, number = batch * shape.context, PRECISIONS[precision]
    layer = ACTIVATIONS_PER_LAYER * shape.width * number // 2
    return {
        "weights, gradients, optimizer": STATE_BYTES[precision] * sum(parameters(shape).values()),
        "activations": tokens * shape.layers * layer,
        "logits": tokens * shape.vocabulary * 4,
    }


def sheet(found: tuple[SheetConfig, ModelConfig]) -> Iterable[Any]:
    """Tables for the terminal."""
    config, shape = found
    title = config.name or f"depth {config.depth}"
    yield _table(title, {name: _plain(value) for name, value in _told(shape).items()})
    counts = parameters(shape)
    total, outside = sum(counts.values()), counts["embedding"] + counts["positions"] + counts["logits"]
    rows = {name: f"{value:,}" for name, value in counts.items() if value}
    yield _table("parameters", {**rows, "in all": f"{total:,}", "without embeddings": f"{total - outside:,}"})
    costs = forward_flops_per_token(shape, shape.context)
    table = _table(f"operations per token, over {shape.context:,} tokens; 2 m n for m x n weights", {}, "forward")
    table.caption, table.caption_justify = NOTATION, "left"
    for heading in ("training, 3 x", "formula"):
        table.add_column(heading)
    for name, value in costs.items():
        table.add_row(name, _si(value), _si(3 * value), FLOP_FORMULAS[name])
    table.add_row("in all", _si(sum(costs.values())), _si(training_flops_per_token(shape, shape.context)))
    table.add_row("beside", _si(2 * total), _si(6 * total), "2 and 6 x parameters (Kaplan et al. 2020)")
    yield table
    memory = training_bytes(shape, config.batch, config.precision)
    rows = {name: _gib(value) for name, value in memory.items()}
    rows["in all"] = _gib(sum(memory.values()))
    rows["keys and values per token"] = f"{cache_bytes_per_token(shape, PRECISIONS[config.precision]):,} bytes"
    local = sum(shape.window_of(layer) is not None for layer in range(shape.layers))
    if local:
        rows["of local layers"] = f"{local} keep the last {shape.window} positions"
    yield _table(f"memory: training, batch {config.batch} of {shape.context:,} tokens, {config.precision}", rows)


def _told(shape: ModelConfig) -> dict[str, Any]:
    """The settings that say what this model is: the sizes, and what differs from GPT-Neo."""
    plain = ModelConfig(vocabulary=1, width=shape.heads, layers=1, heads=shape.heads, context=1)
    same = replace(
        plain,
        vocabulary=shape.vocabulary,
        width=shape.width,
        layers=shape.layers,
        context=shape.context,
        head_width=shape.head_width,
    )
    record, usual = shape.to_json(), same.to_json()
    sizes = ("layers", "width", "heads", "vocabulary", "context")
    told = {name: record[name] for name in sizes}
    told["head width"], told["hidden"] = shape.key_width, shape.hidden_width
    changed = {n: v for n, v in record.items() if n not in (*sizes, "hidden", "head_width") and v != usual[n]}
    return told | {name.replace("_", " "): value for name, value in changed.items()}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, list) else str("1 / sqrt(head width)" if value is None else value)


def _table(title: str, rows: Mapping[str, str], heading: str = "") -> Table:
    style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": None, "pad_edge": False}
    table = Table(title=title, show_header=bool(heading), **style)
    table.add_column(min_width=30)
    table.add_column(heading)
    for name, value in rows.items():
        table.add_row(name, value)
    table.add_section()
    return table


def _si(value: float) -> str:
    """With three digits and a unit: 41.4 GFLOP."""
    for unit in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {unit}FLOP"
        value /= 1000
    return f"{value:.3g} EFLOP"


def _gib(value: float) -> str:
    return f"{value / 2**30:,.2f} GiB"
