"""What gathering a whole dump would take, worked out from the beginnings of a few of its archives.

The beginnings are really gathered, and the computing time of both sides is counted: of the process that reads
archives, and of those that extract text. Every total is the mean over the sampled archives times their number; its
uncertainty is the 95 % confidence interval of that mean by Student's t, with the correction for a finite population.
"""

import math
import statistics
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from libertas.document import Document
from libertas.engine import Failed, Pool
from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.config import PlanConfig
from libertas.gather.extracted import ReadMode
from libertas.gather.inputs import POINTERS, inputs_of
from libertas.gather.record import Dropped, Recipe, document_of
from libertas.gather.remote import fetch_range, open_archive
from libertas.gather.shards import AHEAD, Batch, page_limits, record_batches
from libertas.terminal import progress

STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""97.5 % quantiles of Student's t for 1 to 10 degrees of freedom; more are taken as 10, which is on the safe side."""
PAGE_SECONDS = 30.0
SECONDS_PER_HOUR, HOURS_PER_DAY = 3600, 24


@dataclass(kw_only=True)
class Sample:
    """The beginning of one archive."""

    archive: str
    size: int
    """Bytes of the whole archive on disk."""
    read: int = 0
    """Bytes of its beginning."""
    documents: int = 0
    text_bytes: int = 0
    seconds: float = 0.0
    """Of computing, over all processes."""
    reading: float = 0.0
    """Seconds of these that the process took which reads the archive and hands out records."""
    dropped: Counter[str] = field(default_factory=Counter)

    def whole(self, value: float) -> float:
        """What was counted in the beginning, for the whole archive."""
        return value * self.size / self.read


@dataclass(frozen=True)
class GatherPlan:
    """Samples, and of how many archives they are."""

    samples: tuple[Sample, ...]
    archives: int
    config: PlanConfig

    def total(self, of: Callable[[Sample], float]) -> tuple[float, float]:
        """Total over all archives, and how far it may be off either way."""
        values, n = [of(sample) for sample in self.samples], len(self.samples)
        if n == self.archives:
            return sum(values), 0.0
        if n < 2:
            return values[0] * self.archives, math.inf
        quantile = STUDENT[min(n - 1, len(STUDENT)) - 1]
        error = statistics.stdev(values) / math.sqrt(n) * math.sqrt(1 - n / self.archives)
        return statistics.fmean(values) * self.archives, quantile * error * self.archives


def plan_gathering(config: PlanConfig) -> GatherPlan:
    """Sample and count.

    Raises:
        UsageError: an archive cannot be read, or its beginning holds no whole record.
    """
    archives = inputs_of(config.archives, config.prefix, config.shard).archives
    if pointer := next((a for a in archives if a.endswith(POINTERS)), None):
        raise UsageError(f"{pointer} holds pointers; expected archives or lists; plan for the dump it points to")
    count = min(config.files, len(archives))
    chosen = [archives[(2 * i + 1) * len(archives) // (2 * count)] for i in range(count)]
    recipe = Recipe(mode=ReadMode(markdown=config.markdown))
    function = partial(timed_document, recipe=recipe)
    samples = []
    with Pool(function, config.workers, page_limits(PAGE_SECONDS, recipe)) as pool, progress("Sampling", count) as bar:
        for archive in chosen:
            samples.append(_sample(archive, int(config.megabytes * 1e6), pool))
            bar.advance(1, f"archives, {sum(s.documents for s in samples):,} documents")
    return GatherPlan(tuple(samples), len(archives), config)


def timed_document(item: warc.Record | warc.Lost, recipe: Recipe) -> tuple[Document | Dropped, float]:
    """What becomes of a record, and seconds of computing that it took; runs in a worker."""
    started = time.process_time()
    result = document_of(item, recipe)
    return result, time.process_time() - started


def _sample(archive: str, most: int, pool: "Pool[warc.Record | warc.Lost, tuple[Document | Dropped, float]]") -> Sample:
    with tempfile.TemporaryDirectory(prefix="libertas-plan-") as folder:
        try:
            beginning, size = _beginning(archive, most, Path(folder))
        except OSError as error:
            raise UsageError(f"{archive} cannot be read: {error}; expected an archive; check the address") from error
        try:
            return _sampled(Sample(archive=archive, size=size), beginning, most, pool)
        except UsageError as error:  # it speaks of the copy
            raise UsageError(str(error).replace(str(beginning), archive)) from error


def _sampled(
    sample: Sample, beginning: Path, most: int, pool: "Pool[warc.Record | warc.Lost, tuple[Document | Dropped, float]]"
) -> Sample:
    source = record_batches(_whole_records(beginning, sample.size))
    first = next(source, None)
    if first is None:
        raise UsageError(f"{sample.archive} has no whole record in its first {most:,} bytes; choose more --megabytes")
    _warm(pool, first)
    started = time.process_time()
    for batch, results in pool.map(_chained(first, source), AHEAD):
        ends = (item.ref.offset + item.ref.length for item in batch if isinstance(item, warc.Record))
        sample.read = max(sample.read, *ends, 0)
        for result in results:
            _count(sample, result)
    sample.reading = time.process_time() - started
    sample.seconds += sample.reading
    if not sample.read:
        raise UsageError(f"{sample.archive} has no readable record in its first {most:,} bytes; fetch it again")
    return sample


def _warm(pool: "Pool[Any, Any]", batch: Batch) -> None:
    """Let every worker load its models before anything is measured."""
    for _ in pool.map([batch] * pool.workers * 2):
        pass


def _chained(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest


def _count(sample: Sample, result: "tuple[Document | Dropped, float] | Failed[Any]") -> None:
    if isinstance(result, Failed):
        sample.dropped[result.reason] += 1
        return
    outcome, seconds = result
    sample.seconds += seconds
    if isinstance(outcome, Document):
        sample.documents += 1
        sample.text_bytes += len(outcome.text.encode())
    else:
        sample.dropped[outcome.drop.reason] += 1


def _beginning(archive: str, most: int, folder: Path) -> tuple[Path, int]:
    """A file with the first bytes of an archive, and the size of the whole."""
    target = folder / (archive.rpartition("/")[2] or "archive")
    if archive.startswith(("http://", "https://")):
        with urllib.request.urlopen(urllib.request.Request(archive, method="HEAD")) as answer:
            size = int(answer.headers["Content-Length"])
        target.write_bytes(fetch_range(archive, 0, most))
        return target, size
    path = open_archive(archive, folder)
    with path.open("rb") as file:
        data = file.read(most)
    size = path.stat().st_size
    target.write_bytes(data)
    return target, size


def _whole_records(beginning: Path, size: int) -> Iterator[warc.Record | warc.Lost]:
    """Records of a beginning, without the one that it cuts in two."""
    cut = beginning.stat().st_size < size
    held: warc.Record | warc.Lost | None = None
    for item in warc.records(beginning, complain=False):
        if held is not None:
            yield held
        held = item
    if held is not None and not (cut and isinstance(held, warc.Lost)):
        yield held


def plan_table(plan: GatherPlan) -> list[Table]:
    """The plan as a person reads it."""
    config, samples = plan.config, plan.samples
    seconds = sum(s.seconds for s in samples)
    read = sum(s.read for s in samples)
    documents = sum(s.documents for s in samples)
    title = f"{len(samples)} of {plan.archives:,} archives sampled"
    table = Table("", "all archives", "±", title=title, title_justify="left")
    rows: list[tuple[str, Callable[[Sample], float], Callable[[float], str]]] = [
        ("bytes to read", lambda s: s.size, _bytes),
        ("documents", lambda s: s.whole(s.documents), lambda v: f"{v:,.0f}"),
        ("bytes of text", lambda s: s.whole(s.text_bytes), _bytes),
        ("core-hours", lambda s: s.whole(s.seconds) / SECONDS_PER_HOUR, lambda v: f"{v:,.3g}"),
        (
            f"dollars at {config.dollars_per_core_hour:g} per core-hour",
            lambda s: s.whole(s.seconds) / SECONDS_PER_HOUR * config.dollars_per_core_hour,
            lambda v: f"{v:,.2f}" if v >= 1 else f"{v:.2g}",
        ),
        (
            f"cores to be done in {config.days:g} days",
            lambda s: s.whole(s.seconds) / SECONDS_PER_HOUR / HOURS_PER_DAY / config.days,
            lambda v: f"{v:,.3g}",
        ),
    ]
    for name, of, spelled in rows:
        value, error = plan.total(of)
        table.add_row(name, spelled(value), spelled(error) if math.isfinite(error) else "unknown: one archive")
    measured = Table("in the sample", "", title_justify="left")
    measured.add_row("documents/s of a core", f"{documents / seconds:,.0f}" if seconds else "")
    measured.add_row("MB/s of archive on a core", f"{read / seconds / 1e6:,.2f}" if seconds else "")
    reading = sum(s.reading for s in samples)
    measured.add_row("of the computing, reading the archive", f"{reading / seconds:.0%}" if seconds else "")
    dropped = sum((s.dropped for s in samples), Counter[str]())
    for reason, n in dropped.most_common(5):
        measured.add_row(f"dropped: {reason}", f"{n / (documents + dropped.total()):.1%}")
    return [table, measured]


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} PB"
