"""A signal ends between two pieces of work, not within one."""

import signal

import pytest

from schnet_calc.interruption import SIGNALS, whole


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
def test_what_is_begun_is_done(number):
    before, done = signal.getsignal(number), []

    def work():
        with whole():
            done.append("first half")
            signal.raise_signal(number)
            done.append("second half")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["first half", "second half"]
    assert signal.getsignal(number) is before


def test_a_second_signal_interrupts_at_once():
    done = []

    def work():
        with whole():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert not done


def test_without_a_signal_it_goes_on():
    with whole():
        pass
