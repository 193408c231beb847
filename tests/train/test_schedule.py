"""Learning rates by hand."""

import math

import pytest

from libertas.train.schedule import keeps_checkpoint, learning_rate


def rates(schedule: str, decay: float = 0.2) -> list[float]:
    return [learning_rate(step, 10, 2.0, 0.2, 0.1, schedule, decay) for step in range(1, 11)]


def test_the_rate_rises_in_equal_steps_to_the_highest() -> None:
    assert [learning_rate(step, 100, 2.0, 0.04, 0.1) for step in range(1, 5)] == [0.5, 1.0, 1.5, 2.0]


def test_cosine_is_half_a_wave_from_the_highest_to_the_last() -> None:
    quarter = 0.2 + 1.8 * (1 + math.cos(math.pi / 4)) / 2
    assert rates("cosine")[1::2] == pytest.approx([2.0, quarter, 1.1, 2.2 - quarter, 0.2])


def test_linear_falls_in_equal_steps() -> None:
    assert rates("linear") == pytest.approx([1.0, 2.0, 1.775, 1.55, 1.325, 1.1, 0.875, 0.65, 0.425, 0.2])


def test_wsd_stays_and_then_falls_in_equal_steps() -> None:
    assert rates("wsd", decay=0.3) == pytest.approx([1.0, *[2.0] * 6, 1.4, 0.8, 0.2])


def test_wsd_that_falls_all_the_time_is_linear() -> None:
    assert rates("wsd", decay=1.0) == pytest.approx(rates("linear"))


def test_wsd_without_decay_falls_at_the_last_step_only() -> None:
    assert rates("wsd", decay=0.0) == pytest.approx([1.0, *[2.0] * 8, 0.2])


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_one_step_has_the_highest_rate(schedule: str) -> None:
    assert learning_rate(1, 1, 2.0, 0.0, 0.1, schedule) == 2.0


def test_checkpoints_are_kept_at_powers_of_two_up_to_512_and_at_multiples() -> None:
    kept = [step for step in range(2001) if keeps_checkpoint(step, 1999, 500)]
    assert kept == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 512, 1000, 1500, 1999, 2000]
