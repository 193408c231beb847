"""Settings of a training are refused before anything is read, with field, value and what was expected."""

import re
from pathlib import Path
from typing import Any

import pytest

from libertas.errors import UsageError
from libertas.train.config import TrainConfig

NAN, INFINITE = float("nan"), float("inf")


def settings(**values: Any) -> TrainConfig:
    return TrainConfig(tokens=Path("tokens"), out=Path("run"), **values)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("steps", 0, "1 or more"),
        ("workers", -1, "0 or more threads"),
        ("beta2", 1.0, "0 or more and below 1"),
        ("beta2", -0.1, "0 or more and below 1"),
        ("beta2", NAN, "0 or more and below 1"),
        ("seed", 2**63, "from -2^63 to 2^63 - 1"),
        ("seed", -(2**63) - 1, "from -2^63 to 2^63 - 1"),
        ("learning_rate", 0.0, "a finite number above 0"),
        ("learning_rate", NAN, "a finite number above 0"),
        ("learning_rate", INFINITE, "a finite number above 0"),
        ("muon_rate", -0.02, "a finite number above 0"),
        ("clip", 0.0, "a finite number above 0"),
        ("clip", INFINITE, "a finite number above 0"),
        ("weight_decay", -0.1, "a finite number, 0 or more"),
        ("weight_decay", NAN, "a finite number, 0 or more"),
        ("save_seconds", -1.0, "a finite number, 0 or more"),
        ("save_seconds", INFINITE, "a finite number, 0 or more"),
        ("final_rate", 1.5, "from 0 to 1"),
        ("final_rate", NAN, "from 0 to 1"),
        ("warmup", 1.0, "from 0 to below 1"),
        ("warmup", NAN, "from 0 to below 1"),
    ],
)
def test_a_value_that_cannot_work_is_refused(field: str, value: float, expected: str) -> None:
    with pytest.raises(UsageError, match=rf"^{field} is {re.escape(str(value))}; expected .*{re.escape(expected)}"):
        settings(**{field: value})


def test_values_at_the_edge_of_what_works_are_taken() -> None:
    assert settings(workers=0, beta2=0.0, weight_decay=0.0, save_seconds=0.0, final_rate=0.0).final_rate == 0.0
    assert settings(seed=2**63 - 1, final_rate=1.0).seed == 2**63 - 1
    assert settings(seed=-(2**63)).seed == -(2**63)


def test_a_roll_back_cannot_take_back_what_was_archived() -> None:
    with pytest.raises(UsageError, match="cannot be taken back; use 'skip'"):
        settings(archive="elsewhere", on_spike="rollback")
