"""What was measured beside what was wanted, as a table, and the table's place in a document."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench import report
from bench.torture.jobs import DOCUMENTED
from bench.torture.overload import LOADS, PROBED_LOAD, PROBES

#: What each request gives the service, and so the longest that an accepted one may take.
DEADLINE_SECONDS = 10

NAMES = {"short_texts": "short texts", "documents": "32 documents"}


#: What a client may get that closed the sending half of its connection: the service takes it for one that is gone.
GONE = {"200", "499", "closed"}


class Row(NamedTuple):
    """A figure, and the most that it may be, or the least if ``least``."""

    what: str
    measured: float
    unit: str
    target: float
    least: bool = False

    def reached(self) -> bool:
        """Tell whether the figure is as good as the target."""
        return self.measured >= self.target if self.least else self.measured <= self.target

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        sign = "at least" if self.least else "at most"
        wanted = f"{sign} {self.target:g}{self.unit}" if self.target or self.least else "0"
        return [self.what, f"{self.measured:g}{self.unit}", wanted, "yes" if self.reached() else "**no**"]


def table(results: dict[str, Any]) -> str:
    """Format the results of the scenes, or of some of them, and say how busy the machine was."""
    lines = [row.cells() for make in (_loads, _clients, _faults, _totals) for row in make(results)]
    busy = f"The load average of the machine was {results['load_average']:.1f} before the run."
    return report.table(["", "measured", "target", "reached"], lines) + f"\n\n{busy}"


def _loads(results: dict[str, Any]) -> Iterator[Row]:
    for scene, name in NAMES.items():
        rows = results.get(scene, {})
        for load in LOADS if rows else ():
            row = rows[f"x{load:g}"]
            at = f"{name}, {load:g} times the capacity"
            goal = round(90 * min(1.0, load))
            yield Row(f"{at}: goodput, of the capacity", round(100 * row["goodput"]), " %", goal, least=True)
            yield Row(f"{at}: p99 of accepted requests", _short(row["accepted_p99_s"]), " s", DEADLINE_SECONDS)
            if load == PROBED_LOAD:
                yield Row(f"{at}: p99 of refusals", _ms(row["refused_p99_s"]), " ms", 20)
                yield from _probes(at, row)
    if rows := results.get("obey"):
        what = "100 clients with 32 documents at once, which obey Retry-After: answered by the second retry"
        yield Row(what, round(100 * rows["share"], 1), " %", 95, least=True)


def _probes(at: str, row: dict[str, Any]) -> Iterator[Row]:
    for port, place in (("monitor", "monitor"), ("http", "HTTP port")):
        for path in PROBES:
            yield Row(f"{at}: p99 of {path}, {place}", _ms(row[f"{port} {path}"]["p99_s"]), " ms", 50)


def _clients(results: dict[str, Any]) -> Iterator[Row]:
    if row := results.get("fill"):
        what = "64 requests of 2048 documents and 1,000 waiting ones: memory of the worker"
        yield Row(what, row["most_mb"], " MB", 1000)
        yield Row("60 s idle later: above what it was before", row["idle_mb"] - row["before_mb"], " MB", 100)
    if row := results.get("abandon"):
        what = "200 requests of 2048 documents whose clients hang up: work afterwards"
        yield Row(what, row["work_left_s"], " s", 2)
    for scene, what in (
        ("drip", "100 dripping bodies and 200 half headers"),
        ("idle", "1,000 connections that send nothing"),
    ):
        if row := results.get(scene):
            yield Row(f"{what}: p99 of others, nginx", _ms(row["nginx"]["p99_s"]), " ms", 100)
            yield Row(f"{what}: p99 of others, HTTP port", _ms(row["http"]["p99_s"]), " ms", 1000)
    if row := results.get("slow_readers"):
        for port, place in (("nginx", "nginx"), ("http", "HTTP port")):
            counts = Counter(row[port]["answers"])
            short = counts.total() - counts["200"] - counts["429"]
            yield Row(f"slow readers who were neither refused nor got their whole answer, {place}", short, "", 0)
    if row := results.get("half_closed"):
        others = sum(number for status, number in row["gone"].items() if status not in GONE)
        yield Row("half-closed connections with another answer than 200, 499 or none", others, "", 0)
    if row := results.get("mixed"):
        what = "short texts beside four clients with 2048 documents: p99"
        yield Row(what, _ms(row["short_p99_s"]), " ms", 1000)


def _faults(results: dict[str, Any]) -> Iterator[Row]:
    for fault, what in (("oom", "memory runs out in a batch"), ("hang", "a batch never ends")):
        if row := results.get("faults", {}).get(fault):
            lost = sum(number for status, number in row["answers"].items() if status not in {"200", "429"})
            yield Row(f"{what}: requests neither answered rightly nor refused", lost, "", 0)
            yield Row(f"{what}: until requests are quick again", _short(row["recovered_s"]), " s", 10)


def _totals(results: dict[str, Any]) -> Iterator[Row]:
    counts = sum(_answers(results), Counter[str]())
    failed = {s: n for s, n in counts.items() if s.isdigit() and int(s) >= 500 and int(s) not in DOCUMENTED}
    yield Row(f"of {counts.total()} requests: wrong vectors", counts["wrong"], "", 0)
    yield Row("5xx that are not documented", sum(failed.values()), "", 0)
    yield Row("hangs", counts["lost"], "", 0)
    yield Row("connections closed without an answer", counts["closed"], "", 0)
    yield Row("workers replaced, but for the one whose batch never ends", results["replaced_workers"], "", 0)


def _answers(results: Any) -> Iterator[Counter[str]]:
    if isinstance(results, dict):
        if "answers" in results:
            yield Counter(results["answers"])
        for each in results.values():
            yield from _answers(each)


def _ms(seconds: float) -> float:
    return round(1000 * seconds)


def _short(seconds: float) -> float:
    return round(seconds, 2)
