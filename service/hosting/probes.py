"""Whether the instance lives, and whether it would answer a request; if not, why not."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.hosting.scrape import Beat
from service.hosting.uwsgi import Worker

#: A worker beats four times a second.
READY_SECONDS = 5.0

#: A worker that is silent for so long hangs in native code that holds Python's lock, where its watchdog hangs too.
ALIVE_SECONDS = 60.0

#: A queue that is full for a moment only means load.
FULL_SECONDS = 30.0

GOOD = {"alive", "ready"}


class State(NamedTuple):
    """A state in one word, and in one sentence for a person."""

    word: str
    sentence: str

    @property
    def is_good(self) -> bool:
        """Tell whether a probe succeeds."""
        return self.word in GOOD


def judge_liveness(workers: Sequence[Worker], beats: Mapping[int, Beat]) -> State:
    """Say whether a restart would help: a worker hangs that nothing else replaces."""
    for worker in workers:
        beat = beats.get(worker.number)
        if worker.is_loaded and beat and beat.age_seconds > ALIVE_SECONDS:
            return State("silent", _silence(worker, beat))
    return State("alive", "the master runs and no worker hangs")


def judge_readiness(workers: Sequence[Worker], beats: Mapping[int, Beat], *, is_stopping: bool) -> State:
    """Say whether at least one worker would answer a request."""
    if is_stopping:
        return State("stopping", "the instance is stopping: it finishes the requests that it has")
    states = [judge(worker, beats.get(worker.number)) for worker in workers]
    return next((state for state in states if state.is_good), states[0])


def judge(worker: Worker, beat: Beat | None) -> State:
    """Say whether a worker would answer a request."""
    if not worker.is_loaded:
        return State("loading", f"worker {worker.number} is loading the model")
    if beat:
        if beat.age_seconds > READY_SECONDS:
            return State("silent", _silence(worker, beat))
        if beat.is_late:
            return State("late", f"worker {worker.number} has a batch that takes more than half of its time")
        if beat.full_seconds > FULL_SECONDS:
            return State(
                "full", f"the queue of worker {worker.number} has been full for {beat.full_seconds:.0f} seconds"
            )
    return State("ready", f"worker {worker.number} answers requests")


def _silence(worker: Worker, beat: Beat) -> str:
    return f"worker {worker.number} has given no sign of life for {beat.age_seconds:.0f} seconds"
