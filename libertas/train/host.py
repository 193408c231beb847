"""What a training takes from the machine: time, memory, disk, energy. Nothing here decides anything."""

import resource
import shutil
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows energy counters (https://docs.kernel.org/power/powercap/powercap.html); often for root only."""
PACKAGES = "intel-rapl:?"
"""Counters of whole processors; those below them, such as `intel-rapl:0:0`, are parts of these."""
EVERY = 10
"""Steps between rows that hold more than the time: all of it takes about 0.1 ms."""
MAX_RSS_BYTES = 1 if sys.platform == "darwin" else 1024
"""Unit of `ru_maxrss` (getrusage(2)): kilobytes on Linux, bytes on macOS."""


class Energy:
    """Joules that the processors took since this was made; counters that wrap around are followed."""

    def __init__(self, root: Path = POWERCAP) -> None:
        """Find the counters that may be read."""
        self.joules = 0.0
        self._last: dict[Path, int] = {}
        self._ranges: dict[Path, int] = {}
        for zone in sorted(root.glob(PACKAGES)) if root.is_dir() else ():
            try:
                self._last[zone] = int((zone / "energy_uj").read_text())
                self._ranges[zone] = int((zone / "max_energy_range_uj").read_text())
            except (OSError, ValueError):
                self._last.pop(zone, None)  # since 2020, kernels show it to root only

    def read(self) -> float | None:
        """Joules so far; None where no counter can be read."""
        for zone, last in list(self._last.items()):
            try:
                now = int((zone / "energy_uj").read_text())
            except (OSError, ValueError):
                del self._last[zone]
                continue
            self.joules += (now - last + (self._ranges[zone] if now < last else 0)) / 1e6
            self._last[zone] = now
        return self.joules if self._last else None


class Host:
    """Measures what a training takes; begins with the process."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Note the time; `folder` is where the run is written."""
        self.folder, self.device = folder, device
        self.energy = Energy()
        self._started, self._first = time.monotonic(), True

    def facts(self, step: int) -> dict[str, Any]:
        """The time, and for every tenth step and the first of this process what else can be known.

        `seconds` counts from the start of this process, `joules` too; `memory` is the most that it ever held, in bytes,
        `gpu_memory` likewise; `disk_free` and `disk_written` are bytes.
        """
        found: dict[str, Any] = {
            "seconds": round(time.monotonic() - self._started, 3),
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        if step % EVERY == 0 or self._first:
            self._first = False
            found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAX_RSS_BYTES
            found["disk_free"] = shutil.disk_usage(self.folder).free
            found |= {"disk_written": written} if (written := bytes_written()) is not None else {}
            found |= {"joules": round(joules, 3)} if (joules := self.energy.read()) is not None else {}
            if self.device.type == "cuda":
                found |= _gpu_facts(self.device)
        return found


def bytes_written(file: Path = Path("/proc/self/io")) -> int | None:
    """Bytes that this process has sent to storage (proc_pid_io(5)); None where the system does not say."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("write_bytes:")), None)


def _gpu_facts(device: torch.device) -> dict[str, Any]:
    """The GPU's memory, and its power in watts where NVIDIA's library for Python is installed."""
    found: dict[str, Any] = {"gpu_memory": torch.cuda.max_memory_allocated(device)}
    with suppress(ModuleNotFoundError, RuntimeError):
        found["gpu_watts"] = torch.cuda.power_draw(device) / 1000
    return found


def time_left(done: int, seconds: float, remaining: int) -> str:
    """How long the rest will take, from what was done in this process: `3:20`, `1:05:00`; empty before there is any."""
    if not done:
        return ""
    whole = round(seconds / done * remaining)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
