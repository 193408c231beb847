"""Metrics for other tools: event files that TensorBoard reads, and Weights & Biases only where it is asked for."""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.errors import UsageError
from libertas.train import logs
from libertas.train.config import TrainConfig
from libertas.train.logs import crc32c, opened_logs, require_logs, scalars, tf_record

ROW = {
    "step": 300,
    "loss": 2.5,
    "time": "2026-01-02T03:04:05.000+00:00",
    "component_loss": {"web": 2.25, "code": 3.0},
    "events": ["a text"],
    "gradient_norm": None,
    "tokens": 4096,
}


def config(tmp_path: Path, *names: str) -> TrainConfig:
    return TrainConfig(tokens=tmp_path, out=tmp_path / "run-7", logs=names)


def varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return number, at


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a protocol buffer by number; written against the specification, not against the writer."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
            yield key >> 3, value
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, at = varint(data, at)
            piece, at = data[at : at + size], at + size
            yield (
                key >> 3,
                {1: lambda p: struct.unpack("<d", p)[0], 5: lambda p: struct.unpack("<f", p)[0]}.get(key & 7, bytes)(
                    piece
                ),
            )


def records(file: Path) -> Iterator[bytes]:
    data = file.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert tf_record(data[12 : 12 + length]) == data[: 16 + length]
        yield data[12 : 12 + length]
        data = data[16 + length :]


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_checksums_are_those_of_rfc_3720(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum


def test_an_event_file_holds_the_numbers_of_every_row(tmp_path: Path) -> None:
    with opened_logs(config(tmp_path, "tensorboard"), tmp_path, [{"step": 1, "loss": 5.0}]) as log:
        log(ROW)
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert "tfevents" in file.name
    version, first, second = [dict(fields(record)) for record in records(file)]
    assert version[3] == b"brain.Event:2"
    assert first[2] == 1
    assert second[1] == 1767323045.0  # 2026-01-02 03:04:05 UTC
    assert second[2] == 300
    values = [dict(fields(value)) for number, value in fields(second[5]) if number == 1]
    assert {v[1].decode(): v[2] for v in values} == {
        "loss": 2.5,
        "component_loss/web": 2.25,
        "component_loss/code": 3.0,
        "tokens": 4096.0,
    }


def test_a_training_that_continues_begins_the_file_anew_so_that_every_step_is_in_it_once(tmp_path: Path) -> None:
    rows = [{"step": n, "loss": 1.0} for n in range(1, 9)]
    with opened_logs(config(tmp_path, "tensorboard"), tmp_path, []) as log:
        for row in rows:
            log(row)
    with opened_logs(config(tmp_path, "tensorboard"), tmp_path, rows[:5]) as log:
        log(rows[5])
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert [dict(fields(r)).get(2) for r in records(file)] == [None, 1, 2, 3, 4, 5, 6]


@given(st.integers(0, 2**63 - 1))
def test_whole_numbers_are_written_as_protocol_buffers_do(number: int) -> None:
    assert varint(logs._varint(number), 0) == (number, len(logs._varint(number)))


def test_a_full_disk_leaves_out_whole_rows_and_lets_the_training_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs.EventFile(tmp_path / "tensorboard", [{"step": 1, "loss": 1.0}])
    honest = log._file

    class Full:
        def write(self, data: bytes) -> int:
            return honest.write(data[:7])

        def __getattr__(self, name: str) -> Any:
            return getattr(honest, name)

    monkeypatch.setattr(log, "_file", Full())
    log.write({"step": 2, "loss": 1.0})
    monkeypatch.setattr(log, "_file", honest)
    log.write({"step": 3, "loss": 1.0})
    log.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert [dict(fields(r)).get(2) for r in records(file)] == [None, 1, 3]


def test_texts_lists_and_what_is_missing_are_no_scalars() -> None:
    assert dict(scalars(ROW)) == {"loss": 2.5, "component_loss/web": 2.25, "component_loss/code": 3.0, "tokens": 4096.0}


def test_without_logs_nothing_is_written_or_imported(tmp_path: Path) -> None:
    with opened_logs(config(tmp_path), tmp_path, [ROW]) as log:
        log(ROW)
    assert list(tmp_path.iterdir()) == []
    assert "wandb" not in sys.modules


def test_wandb_that_is_not_there_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"logs has 'wandb', which is not installed; expected `pip install wandb`"):
        require_logs(config(tmp_path, "wandb"))
    require_logs(config(tmp_path, "tensorboard"))


def test_wandb_takes_the_settings_and_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    run = SimpleNamespace(log=lambda row, step: seen.append((step, row)), finish=lambda: seen.append("finished"))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **words: seen.append(words) or run))
    with opened_logs(config(tmp_path, "wandb"), tmp_path, []) as log:
        log({"step": 4, "loss": 1.5})
    assert (seen[0]["name"], seen[0]["config"]["logs"]) == ("run-7", ["wandb"])
    assert seen[1:] == [(4, {"loss": 1.5}), "finished"]
