"""Being asked to stop."""

import os
import signal

import pytest

from libertas.train.stopping import Interrupted, StoppedAtOnce, stop_requests


def test_the_first_signal_is_noted_and_a_second_ctrl_c_stops_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_requests(lambda: "after this step") as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGINT)
        assert stop == [signal.SIGINT]
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop == [signal.SIGINT, signal.SIGTERM]
        with pytest.raises(StoppedAtOnce, match="stopped at once"):
            os.kill(os.getpid(), signal.SIGINT)
    assert capfd.readouterr().err == "after this step\n"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_launchers_may_send_sigterm_as_often_as_they_like() -> None:
    with stop_requests() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert len(stop) == 3


def test_what_was_saved_asks_to_be_resumed() -> None:
    assert Interrupted.exit_status == os.EX_TEMPFAIL
    assert not hasattr(StoppedAtOnce(), "exit_status")
