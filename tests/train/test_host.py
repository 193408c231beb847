"""What a training says of its machine."""

from pathlib import Path

import pytest
import torch

from libertas.train.host import EVERY, Energy, Host, bytes_written, time_left


def counter(root: Path, name: str, energy: int, most: int = 1000) -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "energy_uj").write_text(f"{energy}\n")
    (root / name / "max_energy_range_uj").write_text(f"{most}\n")


def test_energy_adds_up_all_processors_and_follows_counters_that_wrap_around(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", 100)
    counter(tmp_path, "intel-rapl:1", 900)
    counter(tmp_path, "intel-rapl:0:0", 5)  # a part of the first
    energy = Energy(tmp_path)
    assert energy.read() == 0.0
    counter(tmp_path, "intel-rapl:0", 350)
    counter(tmp_path, "intel-rapl:1", 150)
    counter(tmp_path, "intel-rapl:0:0", 900)
    assert energy.read() == pytest.approx((250 + 250) / 1e6)
    counter(tmp_path, "intel-rapl:0", 360)
    assert energy.read() == pytest.approx(510 / 1e6)


def test_without_counters_there_is_no_energy(tmp_path: Path) -> None:
    assert Energy(tmp_path / "absent").read() is None
    (tmp_path / "intel-rapl:0").mkdir()  # of which nothing may be read
    assert Energy(tmp_path).read() is None


def test_rows_hold_the_time_always_and_the_rest_every_tenth_step(tmp_path: Path) -> None:
    host = Host(tmp_path, torch.device("cpu"))
    first, second = host.facts(3), host.facts(4)
    tenth = host.facts(EVERY)
    assert set(second) == {"seconds", "time"}
    assert set(tenth) == set(first) >= {"seconds", "time", "memory", "disk_free"}
    assert 10e6 < tenth["memory"] < 1e12
    assert tenth["disk_free"] > 0
    assert 0 <= first["seconds"] <= second["seconds"] <= tenth["seconds"]
    assert first["time"].endswith("+00:00")


def test_bytes_written_are_those_that_the_system_counts(tmp_path: Path) -> None:
    (tmp_path / "io").write_text("rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n")
    assert bytes_written(tmp_path / "io") == 4096
    assert bytes_written(tmp_path / "absent") is None


def test_the_time_left_goes_on_at_the_speed_so_far() -> None:
    assert time_left(0, 5.0, 100) == ""
    assert time_left(10, 20.0, 100) == "3:20"
    assert time_left(1, 39.0, 100) == "1:05:00"
    assert time_left(100, 10.0, 0) == "0:00"
