"""What was measured as a table with a column for each CPU, and the table's place in a document."""

from collections.abc import Callable, Sequence
from typing import Any

from bench import report
from bench.limits.run import SHAPES, name_of

#: What the service takes by itself, the first that there is.
ENGINES = ("this engine, bfloat16", "this engine, float32")

#: Of which the parts are told: a short text alone, a full batch of them, one of long texts.
PROFILED = ((1, 13), (32, 13), (4, 128))

Column = dict[str, Any]


def merge(before: dict[str, Column], measured: dict[str, Column]) -> dict[str, Column]:
    """Return the columns of both; a CPU that was measured again has the new one."""
    return before | measured


def table(results: dict[str, Column]) -> str:
    """Format the columns."""
    columns = list(results.values())
    lines = [[name, *map(tell, columns)] for name, tell in _rows(columns).items()]
    return report.table(["", *(each["machine"]["cpu"].strip() for each in columns)], lines)


def _rows(columns: Sequence[Column]) -> dict[str, Callable[[Column], str]]:
    """Return by its name what tells the cell of each row."""
    multiplied = dict.fromkeys(name for each in columns for name in [*each["peak_gflops"], *each["peak_failures"]])
    contenders = dict.fromkeys(name for each in columns for name in [*each["seconds"], *each["failures"]])
    return (
        {"cores, date, load average before the run": _describe}
        | {f"multiplication, {name}: GFLOP/s": _peak(name) for name in multiplied}
        | {f"engine, {name_of(each)}: ms, GFLOP/s, of the peak": _share(name_of(each)) for each in SHAPES}
        | {f"where the time of {name_of(each)} goes": _parts(name_of(each)) for each in PROFILED}
        | {f"{name}: ms of each shape, least cosine": _times(name) for name in contenders}
    )


def _describe(column: Column) -> str:
    return f"{column['machine']['cores']}, {column['machine']['date']}, {column['load_average']:.1f}"


def _peak(name: str) -> Callable[[Column], str]:
    def tell(column: Column) -> str:
        if name in column["peak_gflops"]:
            return report.number(column["peak_gflops"][name])
        return str(column["peak_failures"].get(name, ""))

    return tell


def _share(shape: str) -> Callable[[Column], str]:
    def tell(column: Column) -> str:
        engine = next(name for name in ENGINES if name in column["seconds"])
        dtype = engine.rpartition(" ")[2]
        peak = max(rate for name, rate in column["peak_gflops"].items() if name.startswith(dtype))
        seconds = column["seconds"][engine][shape]
        rate = column["gflop"][shape] / seconds
        return f"{report.number(1000 * seconds)}, {report.number(rate)}, {100 * rate / peak:.0f} %"

    return tell


def _parts(shape: str) -> Callable[[Column], str]:
    def tell(column: Column) -> str:
        parts = column["parts"][shape]
        whole = sum(parts.values())
        return ", ".join(f"{name} {100 * each / whole:.0f} %" for name, each in parts.items())

    return tell


def _times(name: str) -> Callable[[Column], str]:
    def tell(column: Column) -> str:
        if name not in column["seconds"]:
            return str(column["failures"].get(name, ""))
        times = " / ".join(report.number(1000 * each) for each in column["seconds"][name].values())
        return f"{times}; {column['cosines'][name]:.5f}"

    return tell
