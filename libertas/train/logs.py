"""Metrics for other tools, beside `metrics.jsonl`: TensorBoard's event files, and Weights & Biases.

Event files are written here, without TensorFlow or the tensorboard package: a file is a row of TFRecords (length,
checksum, data, checksum), each an `Event` message (tensorflow/core/util/event.proto), of which three fields are needed.
When a training continues, the file is made anew from the journal, so that it holds every step once.
"""

import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from libertas.errors import UsageError
from libertas.lineage.fingerprint import resolved
from libertas.train.config import TrainConfig

TENSORBOARD = "tensorboard"
"""Folder of the event file, in a run."""
EVENT_VERSION = "brain.Event:2"
"""First record of every event file."""
CRC32C = 0x82F63B78
"""Castagnoli's polynomial, reversed (RFC 3720, appendix B.4)."""
MASK = 0xA282EAD8
"""Added to checksums in TFRecords, since checksums of checksums are weak (tensorflow/core/lib/hash/crc32c.h)."""
WORD = 0xFFFFFFFF


def require_logs(config: TrainConfig) -> None:
    """Refuse logs whose library is not there, before the first step.

    Raises:
        UsageError: says what to install.
    """
    if "wandb" in config.logs and find_spec("wandb") is None:
        raise UsageError(
            "logs has 'wandb', which is not installed; expected `pip install wandb`; leave it out: `metrics.jsonl` "
            "holds the same"
        )


@contextmanager
def opened_logs(
    config: TrainConfig, folder: Path, rows: Sequence[dict[str, Any]]
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What to call with each row, for the logs that the settings name; they begin with the rows of earlier steps."""
    with ExitStack() as stack:
        logs: list[EventFile | Wandb] = []
        for name in config.logs:
            logs.append(EventFile(folder / TENSORBOARD, rows) if name == "tensorboard" else Wandb(config))
            stack.callback(logs[-1].close)

        def write(row: dict[str, Any]) -> None:
            for log in logs:
                log.write(row)

        yield write


def scalars(row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Numbers of a row by name, `component_loss/web` for those inside; no texts, lists and missing values."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{inner}", number) for inner, number in scalars(value))
        elif isinstance(value, int | float) and name != "step":
            yield name, float(value)


class EventFile:
    """A file that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path, rows: Iterable[dict[str, Any]]) -> None:
        """Begin a new file with some rows; earlier ones are removed."""
        folder.mkdir(exist_ok=True)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._file = (folder / f"events.out.tfevents.{int(time.time())}.libertas").open("wb", buffering=0)
        self._append(_double(1, time.time()) + _text(3, EVENT_VERSION.encode()))
        for row in rows:
            self.write(row)

    def write(self, row: dict[str, Any]) -> None:
        """Append one event, with all scalars of the row."""
        values = b"".join(_text(1, _text(1, name.encode()) + _float(2, value)) for name, value in scalars(row))
        when = _seconds_of(row.get("time"))
        self._append(_double(1, when) + _integer(2, row["step"]) + _text(5, values))

    def _append(self, event: bytes) -> None:
        """Write a record, or none of it where the disk is full: the journal has it, and training goes on."""
        record, end = tf_record(event), self._file.tell()
        try:
            whole = self._file.write(record) == len(record)
        except OSError:
            whole = False
        if not whole:
            self._file.truncate(end)
            self._file.seek(end)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Wandb:
    """A run of Weights & Biases; `WANDB_MODE=offline` and its other variables are its own business."""

    def __init__(self, config: TrainConfig) -> None:
        """Begin one, named as the run's folder; where a training continues, its runs make up a group of that name."""
        self._run = import_module("wandb").init(
            project="libertas", name=config.out.name, group=config.out.name, config=resolved(config)
        )

    def write(self, row: dict[str, Any]) -> None:
        """Send the scalars of a row."""
        self._run.log(dict(scalars(row)), step=row["step"])

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


def _seconds_of(moment: str | None) -> float:
    return time.time() if moment is None else datetime.fromisoformat(moment).timestamp()


def tf_record(data: bytes) -> bytes:
    """One record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + _masked(crc32c(length)) + data + _masked(crc32c(data))


def _masked(checksum: int) -> bytes:
    return struct.pack("<I", (((checksum >> 15) | (checksum << 17)) + MASK) & WORD)


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (CRC32C if value & 1 else 0)
        table.append(value)
    return tuple(table)


CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """Castagnoli's cyclic redundancy check (RFC 3720)."""
    value = WORD
    for byte in data:
        value = CRC_TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ WORD


def _varint(number: int) -> bytes:
    """A whole number as protocol buffers write it: seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _integer(tag: int, number: int) -> bytes:
    return _varint(tag << 3) + _varint(number)


def _double(tag: int, number: float) -> bytes:
    return _varint(tag << 3 | 1) + struct.pack("<d", number)


def _text(tag: int, data: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(data)) + data


def _float(tag: int, number: float) -> bytes:
    return _varint(tag << 3 | 5) + struct.pack("<f", number)
