"""What a person sees of a run."""

import io

import pytest

from service.bulk.progress import LINE_SECONDS, Progress


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


def test_a_log_gets_a_line_a_minute(clock):
    log = io.StringIO()
    progress = Progress(1000, log, clock)
    for _ in range(int(3 * LINE_SECONDS)):
        clock.seconds += 1
        progress.show()

    assert len(log.getvalue().splitlines()) == 3


def test_a_line_has_rates_padding_and_the_time_left(clock):
    progress = Progress(1000, io.StringIO(), clock)
    clock.seconds = 100
    progress.add(50_000, 900_000, 1_000_000)
    progress.reach(250)
    progress.failed = 2

    assert progress.line() == "50,000 rows, 500 rows/s, 9,000 tokens/s, 10.0% padding, 2 failed, 5 min 00 s left"


def test_what_was_there_already_does_not_count_as_speed(clock):
    progress = Progress(1000, io.StringIO(), clock)
    progress.skip(400, 500)
    clock.seconds = 10
    progress.add(100, 1, 1)
    progress.reach(600)

    assert progress.line() == "500 rows, 10 rows/s, 0 tokens/s, 0.0% padding, 40 s left"


def test_without_a_process_no_time_is_left_to_tell(clock):
    progress = Progress(1000, io.StringIO(), clock)
    clock.seconds = 10
    progress.add(100, 1, 1)
    progress.reach(500)
    progress.processes = 0

    assert progress.line() == "100 rows, 10 rows/s, 0 tokens/s, 0.0% padding, 0 processes"


def test_a_terminal_gets_a_bar(clock):
    terminal = Terminal()
    progress = Progress(1000, terminal, clock)
    clock.seconds = 1
    progress.reach(500)
    progress.show()

    assert terminal.getvalue().startswith("\r\x1b[K[############............] 0 rows")


def test_the_size_of_a_pipe_is_not_known(clock):
    progress = Progress(0, Terminal(), clock)
    clock.seconds = 1
    progress.add(1, 1, 1)

    assert progress.line() == "1 rows, 1 rows/s, 1 tokens/s, 0.0% padding"
