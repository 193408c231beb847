"""What a person sees while archives are gathered: documents and bytes a second, drops by reason, time to go."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from libertas.document import Document
from libertas.gather.record import Dropped
from libertas.gather.warc import Lost, Record
from libertas.terminal import Bar

TOLD_REASONS = 3


class Meter:
    """Adds up what comes, for the end of a progress bar that counts archives."""

    def __init__(self, bar: Bar, archives: Sequence[str]) -> None:
        """Start the clock; sizes are known of the archives that lie on this machine."""
        self.bar, self.left = bar, len(archives)
        self.sizes = {a: Path(a).stat().st_size if "://" not in a else None for a in archives}
        self.total = sum(size or 0 for size in self.sizes.values())
        self.documents, self.bytes_done, self.within, self.archives_done = 0, 0, 0, 0
        self.dropped: Counter[str] = Counter()
        self._started = time.monotonic()

    def tell(self, batch: Sequence[Record | Lost], results: Sequence[Document | Dropped]) -> None:
        """A batch is done."""
        self.documents += sum(isinstance(r, Document) for r in results)
        self.dropped.update(r.drop.reason for r in results if isinstance(r, Dropped))
        last = batch[-1]
        self.within = last.ref.offset + last.ref.length if isinstance(last, Record) else last.offset
        self.bar.advance(0, self.note())

    def archive_done(self, archive: str, documents: int = 0) -> None:
        """An archive is done; `documents` are those of which no batch was told."""
        self.documents += documents
        self.bytes_done += self.sizes[archive] or self.within
        self.within, self.left = 0, self.left - 1
        self.archives_done += 1
        self.bar.advance(1, self.note())

    def note(self) -> str:
        """`1,234 documents, 210/s, 5.1 MB/s, 0:00:12 to go; 310 HTTP status, 12 not text`."""
        seconds = max(time.monotonic() - self._started, 1e-3)
        read = self.bytes_done + self.within
        speeds = f"{self.documents / seconds:,.0f}/s, {read / seconds / 1e6:.1f} MB/s"
        parts = [f"{self.documents:,} documents", speeds]
        if (share := self._share(read)) > 0:
            parts.append(f"{timedelta(seconds=round(seconds * (1 / share - 1)))} to go")
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.dropped.most_common(TOLD_REASONS))
        return ", ".join(parts) + (f"; {reasons}" if reasons else "")

    def _share(self, read: int) -> float:
        """How much of the work is done: by bytes where all sizes are known, else by archives."""
        if all(size is not None for size in self.sizes.values()):
            return min(1.0, read / self.total) if self.total else 0.0
        return self.archives_done / len(self.sizes)
