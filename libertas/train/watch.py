"""Watching a training: what to do when a loss or a gradient is not what it should be.

A step is a spike if its loss or its gradient's norm lies more than `spike_deviations` standard deviations above the
mean of the last `WINDOW` steps. A spike enters that window as if it had just reached the limit: it cannot hide the
next one, and a loss that stays high is the new normal after some steps. Everything is computed from the journal and
from `spikes.jsonl`, so that an interrupted training judges as an uninterrupted one.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

import orjson
from rich.markup import escape

from libertas.errors import LibertasError
from libertas.lineage.artifact import write_durably
from libertas.terminal import say
from libertas.tokenize.contents import contents_of
from libertas.tokenize.order import Order
from libertas.tokenize.store import TokenStore
from libertas.train.config import TrainConfig
from libertas.train.step import Measured
from libertas.train.tiers import CHECKPOINTS, RESUME, STATES

SPIKES = "spikes.jsonl"
"""In a run: one line for each spike, with the documents of its step."""
WINDOW = 128
"""Past steps that say what is usual (OLMo-core's default)."""
FEWEST = WINDOW // 2
"""Steps before anything is called a spike."""
NARROWEST = 0.01
"""Least standard deviation, as a share of the mean, so that a very smooth curve does not make spikes of nothing."""
MOST_UNUSABLE = 10
"""Steps in a row whose loss or gradient is no finite number, after which a training cannot recover."""
BEFORE, AFTER = 16, 16
"""Steps around a spike that are left out by `rollback`. PaLM (Chowdhery et al. 2022, section 5.1) went back 100 steps
and left out 200 to 500, in a training of 255,000."""
UPDATE, SKIPPED, LEFT_OUT = "update", "skipped", "left out"
"""Key of a row of the journal whose update was not applied, and its values."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What happens to a step that was measured."""

    applied: bool = True
    notes: dict[str, Any] = field(default_factory=dict)
    """For the step's row in the journal."""


class RollBack(Exception):
    """Training must go on from a state before a step; `take_back` makes it so."""

    def __init__(self, spike: dict[str, Any]) -> None:
        """`spike` is the line of `spikes.jsonl`; its `left_out` says which steps are left out."""
        super().__init__(f"rolled back from step {spike['step']}")
        self.spike = spike


def not_applied(rows: Iterable[dict[str, Any]]) -> frozenset[int]:
    """Steps of a journal whose updates were not applied: whoever repeats the training must leave them out as well."""
    return frozenset(row["step"] for row in rows if UPDATE in row)


def read_spikes(folder: Path) -> list[dict[str, Any]]:
    """The spikes of a run, in the order in which they were met."""
    path = folder / SPIKES
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def take_back(folder: Path, spike: dict[str, Any]) -> None:
    """Remove what a run has kept from the first left-out step on, then write the decision down.

    In this order a kill in between is harmless: the training comes to the same spike again.
    """
    first = spike["left_out"][0]
    for parent in (folder / name for name in (RESUME, STATES, CHECKPOINTS)):
        for path in parent.glob("step-*") if parent.is_dir() else ():
            if int(path.name.removeprefix("step-").partition(".")[0]) >= first:
                rmtree(path)
    _append(folder, spike)


def _append(folder: Path, spike: dict[str, Any]) -> None:
    """Write a spike down; one that was met again, after an interruption, is there already."""
    known = read_spikes(folder)
    spike = orjson.loads(orjson.dumps(spike))
    if spike not in known:
        lines = [orjson.dumps(s, option=orjson.OPT_APPEND_NEWLINE) for s in [*known, spike]]
        write_durably(folder / SPIKES, b"".join(lines))


@dataclass(frozen=True, slots=True)
class Usual:
    """Mean and standard deviation of one number over the window."""

    mean: float
    spread: float

    @staticmethod
    def of(values: Sequence[float]) -> "Usual":
        """Of at least `FEWEST` values; with fewer, nothing is unusual."""
        if len(values) < FEWEST:
            return Usual(0.0, math.inf)
        mean = math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
        return Usual(mean, max(math.sqrt(variance), NARROWEST * abs(mean)))

    def deviations(self, value: float) -> float:
        """How far a value lies above the mean, in standard deviations."""
        return (value - self.mean) / self.spread


class Watch:
    """Judges each step before its update, from the steps before it; its memory is the journal."""

    def __init__(
        self,
        config: TrainConfig,
        rows: Sequence[dict[str, Any]],
        folder: Path,
        store: TokenStore,
        order: Order,
        writes: bool = True,
    ) -> None:
        """Start with the journal's rows of the steps that were done.

        Args:
            config: its `on_spike` and `spike_deviations`.
            rows: of the journal, up to the step from which training continues.
            folder: of the run.
            store: whose documents are read.
            order: in which they are.
            writes: whether this process writes down what it sees.
        """
        self.config, self.folder, self.store, self.order, self.writes = config, folder, store, order, writes
        self.left_out = [(*s["left_out"], s["step"]) for s in read_spikes(folder) if "left_out" in s]
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.norms: deque[float] = deque(maxlen=WINDOW)
        self.unusable = 0
        for row in rows:
            if row.get(UPDATE) != LEFT_OUT:
                limits = row.get("limits") or (math.inf, math.inf)
                self._remember(_number(row["loss"]), _number(row["gradient_norm"]), *limits)

    def _remember(self, loss: float, norm: float, most_loss: float = math.inf, most_norm: float = math.inf) -> None:
        usable = math.isfinite(loss + norm)
        self.unusable = 0 if usable else self.unusable + 1
        if usable:
            self.losses.append(min(loss, most_loss))
            self.norms.append(min(norm, most_norm))

    def judge(self, step: int, measured: Measured, rate: float) -> Judgement:
        """Look at a step that is about to be applied at a learning rate.

        Raises:
            RollBack: training goes back to before it.
            LibertasError: nothing can be learned from here on, or `on_spike` says to stop.
        """
        if any(begin <= step <= end for begin, end, _ in self.left_out):
            return Judgement(applied=False, notes={UPDATE: LEFT_OUT})
        loss, norm = float(measured.loss), float(measured.gradient_norm)
        usual, usual_norm = Usual.of(self.losses), Usual.of(self.norms)
        deviations = usual.deviations(loss), usual_norm.deviations(norm)
        usable, most = math.isfinite(loss + norm), self.config.spike_deviations
        if usable and max(deviations) <= most:
            self._remember(loss, norm)
            return Judgement()
        limits = usual.mean + most * usual.spread, usual_norm.mean + most * usual_norm.spread
        self._remember(loss, norm, *limits)
        self._require_hope(step, measured, rate)
        policy = self.config.on_spike if usable or self.config.on_spike != "record" else "skip"
        spike = self._spike(step, measured, deviations, policy)
        _tell(spike, usable)
        if policy == "rollback":
            raise RollBack(spike)
        if self.writes:
            try:
                _append(self.folder, spike)
            except OSError as error:  # such as a full disk, which is no reason to stop
                say(f"[yellow]{SPIKES} cannot be written:[/yellow] {escape(str(error))}; the spike is in the journal")
        if policy == "stop":
            raise LibertasError(
                f"{_described(spike, usable)}; on_spike is 'stop'; its documents are in {self.folder / SPIKES}; train "
                "with on_spike 'skip' or 'rollback', or a lower learning_rate, into another --out"
            )
        notes = {"limits": limits} if usable else {}
        return Judgement(applied=policy == "record", notes=notes if policy == "record" else {**notes, UPDATE: SKIPPED})

    def _require_hope(self, step: int, measured: Measured, rate: float) -> None:
        """Give up after too many unusable steps in a row; roll-backs that follow each other at once count, too."""
        ends = {end: spike for _, end, spike in self.left_out}
        in_a_row, before = self.unusable, step - 1
        while self.unusable and before in ends:
            in_a_row, before = in_a_row + 1, ends[before] - 1
        if in_a_row >= MOST_UNUSABLE:
            raise LibertasError(
                f"the loss is {measured.loss} and the gradient's norm {measured.gradient_norm} at step {step} "
                f"(learning rate {rate:.1e}), as in the {MOST_UNUSABLE - 1} before; lower learning_rate or muon_rate, "
                "and choose another --out"
            )

    def _spike(self, step: int, measured: Measured, deviations: tuple[float, float], policy: str) -> dict[str, Any]:
        """The line that is written down; numbers that are not finite become null."""
        around = [max(1, step - BEFORE), min(self.config.steps, step + AFTER)]
        return {
            "step": step,
            "loss": float(measured.loss),
            "gradient_norm": float(measured.gradient_norm),
            "loss_deviations": deviations[0],
            "norm_deviations": deviations[1],
            "policy": policy,
            **({"left_out": around} if policy == "rollback" else {}),
            "documents": self._documents(step),
        }

    def _documents(self, step: int) -> list[dict[str, Any]]:
        """What the step read; addresses only where the corpus is still there."""
        try:
            corpus = self.store.corpus()
        except LibertasError:
            corpus = None
        return [
            {
                "row": content.row,
                "id": self.store.document_id(content.document),
                "component": self.store.component_names[self.store.components[content.document]],
                "url": corpus.document(content.document).meta.get("url") if corpus else None,
                "first": content.first,
                "last": content.last,
            }
            for content in contents_of(self.store, self.order, step)
        ]


def _number(value: float | None) -> float:
    """A number of the journal, where those that are not finite are null."""
    return math.nan if value is None else value


def _described(spike: dict[str, Any], usable: bool) -> str:
    said = f"step {spike['step']:,}: loss {spike['loss']:.4g}, gradient norm {spike['gradient_norm']:.4g}"
    if not usable:
        return said
    return f"{said}, {spike['loss_deviations']:.1f} and {spike['norm_deviations']:.1f} deviations above their means"


def _tell(spike: dict[str, Any], usable: bool) -> None:
    """A line for the person who watches."""
    done = {
        "record": "its update is applied",
        "skip": "its update is not applied",
        "rollback": "training goes back, and leaves out steps {} to {}".format(*spike.get("left_out", ("", ""))),
        "stop": "training stops",
    }[spike["policy"]]
    say(f"[yellow]{_described(spike, usable)}[/yellow]; {done}; documents in {SPIKES}")
