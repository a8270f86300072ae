"""Ctrl-C, a kill and a lost connection: the first one stops the work, no other one stops the roll-back."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def raise_on_signals() -> None:
    """Raise KeyboardInterrupt on the first signal; one that is ignored, as under nohup, stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Let no further signal stop what is being put back."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def deferred() -> Iterator[None]:
    """Delay the interrupt of a signal to the end of the block."""
    came: list[int] = []
    armed = [number for number in SIGNALS if signal.getsignal(number) is _interrupt]
    for number in armed:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number in armed:
            signal.signal(number, _interrupt)
    if came:
        _interrupt(came[0], None)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    ignore_signals()
    raise KeyboardInterrupt(signal.Signals(number).name)
