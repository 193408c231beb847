"""Two models on the same items: the paired difference of every score, its error, and the items that changed sides."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from libertas.errors import LibertasError, UsageError
from libertas.evaluate.config import CompareConfig
from libertas.evaluate.result import Result
from libertas.evaluate.statistics import (
    NORMAL_95,
    Estimate,
    clustered_mean,
    detectable,
    mcnemar,
    paired_ratio,
)
from libertas.evaluate.summary import NATS_PER_BIT
from libertas.evaluate.tables import narrow_table

GO, NO_GO, INCONCLUSIVE = "GO", "NO-GO", "INCONCLUSIVE"


class NoGo(LibertasError):
    """The new model is worse by more than the margin."""


class TooFewItems(LibertasError):
    """The items do not tell whether the new model is worse."""

    status = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One score of two models, on the same items."""

    name: str
    old: float
    new: float
    difference: Estimate
    """New less old."""
    higher_is_better: bool
    won: tuple[str, ...] = ()
    """Items that only the new model has right."""
    lost: tuple[str, ...] = ()

    @property
    def probability(self) -> float | None:
        """McNemar's, for scores of right and wrong."""
        return mcnemar(len(self.won), len(self.lost)) if self.higher_is_better else None

    def verdict(self, margin: float) -> str:
        """Whether the loss of this score stays within the margin, by the difference's 95 % interval."""
        allowed = margin if self.higher_is_better else margin * self.old
        loss = -self.difference.mean if self.higher_is_better else self.difference.mean
        if self.difference.stderr is None:
            return INCONCLUSIVE
        half = NORMAL_95 * self.difference.stderr
        if loss + half <= allowed:
            return GO
        return NO_GO if loss - half > allowed else INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every score that both results have."""

    config: CompareConfig
    differences: list[Difference]
    items: Mapping[str, str]
    """What was asked, by item."""


def compare(config: CompareConfig) -> Comparison:
    """Compare two results, score by score, on the items and documents that both have.

    Raises:
        UsageError: they have none in common.
    """
    old, new = (Result.open(path) for path in config.results)
    before, after = _by_key(old), _by_key(new)
    shared: dict[tuple[str, str], list[str]] = {}
    for name, item in before.keys() & after.keys():
        shared.setdefault((before[name, item]["task"], name), []).append(item)
    if not shared:
        raise UsageError(f"{config.results[0]} and {config.results[1]} share no item or document; score the same tasks")
    differences = [
        _difference(task, name, [(before[name, item], after[name, item]) for item in sorted(items)])
        for (task, name), items in sorted(shared.items())
    ]
    asked = {str(row["id"]): str(row["question"] or row["passage"]) for row in [*old.items(), *new.items()]}
    return Comparison(config, differences, asked)


def _by_key(result: Result) -> dict[tuple[str, str], dict[str, Any]]:
    """Records by the name of their score and their item or document."""
    found = {}
    for row in result.records():
        if row["task"] == "bits_per_byte":
            found["bits_per_byte", row["document"]] = row
        else:
            found[f"{row['task']} {row['protocol']}", row["item"]] = row
    return found


def _difference(task: str, name: str, pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Difference:
    if task == "bits_per_byte":
        bits = [[-row["log_probability"] / NATS_PER_BIT for row in side] for side in zip(*pairs, strict=True)]
        by = [float(one["bytes"]) for one, _ in pairs]
        found = paired_ratio(bits[0], by, bits[1], by, [one["document"] for one, _ in pairs])
        assert found is not None, "documents without a byte"
        return Difference(name, sum(bits[0]) / sum(by), sum(bits[1]) / sum(by), found, higher_is_better=False)
    right = [(bool(one["correct"]), bool(two["correct"])) for one, two in pairs]
    groups = [str(one.get("group", one.get("document", one["item"]))) for one, _ in pairs]
    difference = clustered_mean([float(two) - float(one) for one, two in right], groups)
    assert difference is not None, "a score without an item"
    return Difference(
        name,
        sum(one for one, _ in right) / len(right),
        sum(two for _, two in right) / len(right),
        difference,
        higher_is_better=True,
        won=tuple(p[1]["item"] for p, (one, two) in zip(pairs, right, strict=True) if two and not one),
        lost=tuple(p[1]["item"] for p, (one, two) in zip(pairs, right, strict=True) if one and not two),
    )


def comparison_tables(comparison: Comparison) -> Iterable[Any]:
    """The scores side by side, some items that changed sides, and what the gate says.

    Raises:
        NoGo: the gate was asked, and a score fell by more than the margin.
        TooFewItems: the gate was asked, and the items do not tell.
    """
    gate, margin = comparison.config.gate, comparison.config.margin
    headings = ("n", "old", "new", "difference", "detectable", "won", "lost", "p", *(("gate",) if gate else ()))
    caption = "difference: paired, with its standard error; detectable: found in 4 cases of 5; p: McNemar, exact"
    table = narrow_table("The same items, two models", caption, "score", headings)
    for row in comparison.differences:
        _add(table, row, row.verdict(margin) if gate else None)
    yield table
    for row in comparison.differences:
        for sign, changed in (("+", row.won), ("-", row.lost)):
            for item in changed[: comparison.config.flips]:
                yield f"{sign} {row.name}  {item}  {' '.join(comparison.items.get(item, '').split())[:90]}"
    if not gate:
        return
    verdicts = {row.name: row.verdict(margin) for row in comparison.differences}
    for verdict, error in ((NO_GO, NoGo), (INCONCLUSIVE, TooFewItems)):
        if names := [name for name, found in verdicts.items() if found == verdict]:
            raise error(f"{verdict} at a margin of {margin:g}: {', '.join(names)}")
    yield f"{GO}: no score fell by more than the margin of {margin:g}"


def _add(table: Table, row: Difference, verdict: str | None) -> None:
    scale, digits = (100, 1) if row.higher_is_better else (1, 3)
    error = row.difference.stderr
    told = row.probability
    cells = [
        f"{row.difference.n:,}",
        f"{scale * row.old:.{digits}f}",
        f"{scale * row.new:.{digits}f}",
        f"{scale * row.difference.mean:+.{digits}f} ±{'?' if error is None else f'{scale * error:.{digits}f}'}",
        "?" if error is None else f"{scale * detectable(error):.{digits}f}",
        f"{len(row.won):,}" if row.higher_is_better else "",
        f"{len(row.lost):,}" if row.higher_is_better else "",
        "" if told is None else f"{told:.3f}",
    ]
    table.add_row(row.name, *cells, *([verdict] if verdict else []))
