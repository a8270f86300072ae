"""``python -m bench``: compare servers; see this one grow, last, stand overload, embed a corpus, or use CPU and GPU."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import comparison, corpus, gpu, growth, lineup, report, soak, standings, synthetic, texts
from bench.limits import columns
from bench.limits import run as limits
from bench.texts import Writer
from bench.torture import run as torture
from bench.torture import verdict
from service.models import sources

log = logging.getLogger("bench")

RESULTS = Path(__file__).parent / "results"
PLOTS = Path(__file__).parent.parent / "docs" / "plots"

Results = dict[str, Any]


class Job(NamedTuple):
    """What to measure: the model's directory, who writes its texts, and the options of the command line."""

    model: Path
    write: Writer
    options: argparse.Namespace

    @property
    def only(self) -> list[str]:
        """Parts of names, one of which the name of a contender or a scene must have."""
        return str(self.options.only).split(",")

    @property
    def results(self) -> Path:
        """Where the results go."""
        return RESULTS / f"{self.options.benchmark}-{self.options.model}.json"


def _compare(job: Job) -> Results:
    names = [name for name in lineup.NAMES if any(part in name for part in job.only)]
    return comparison.compare(str(job.model), job.write, names, job.options.rounds, job.options.seconds)


def _measure_corpus(job: Job) -> Results:
    return corpus.measure(str(job.model), job.options.rows)


def _measure_limits(job: Job) -> Results:
    return columns.merge(report.load(job.results), limits.run(job.model, job.options.rounds, job.only))


def _torture(job: Job) -> Results:
    return torture.run(str(job.model), job.only)


def _grow(job: Job) -> Results:
    longest = 256 if job.options.model == "minilm" else 512
    results = growth.grow(str(job.model), job.write, job.options.rounds, job.options.seconds, longest)
    growth.draw(results, PLOTS, job.options.model)
    return results


def _soak(job: Job) -> Results:
    return soak.soak(str(job.model), job.write, job.options.minutes)


def _measure_gpu(job: Job) -> Results:
    return gpu.measure(str(job.model), job.write, job.options.rounds, job.options.seconds)


#: What measures, and what makes a table of its results.
BENCHMARKS: dict[str, tuple[Callable[[Job], Results], Callable[[Results], str] | None]] = {
    "compare": (_compare, standings.tables),
    "corpus": (_measure_corpus, corpus.table),
    "limits": (_measure_limits, columns.table),
    "torture": (_torture, verdict.table),
    "growth": (_grow, None),
    "soak": (_soak, None),
    "gpu": (_measure_gpu, None),
}


def _main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    options = _parse()
    job = Job(sources.find("all-MiniLM-L6-v2").directory, texts.english, options)
    if options.model == "bert-base":
        job = Job(synthetic.save_model(RESULTS.parent / "models" / "bert-base"), texts.chinese, options)
    measure, tabulate = BENCHMARKS[options.benchmark]
    results = measure(job)
    report.save(job.results, {"results": results})
    log.info("written to %s", job.results)
    if tabulate:
        print(table := tabulate(results))
        if options.write:
            report.write(options.write, job.results.stem, table)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=list(BENCHMARKS), default="compare")
    parser.add_argument(
        "--model",
        choices=["minilm", "bert-base"],
        default="minilm",
        help="all-MiniLM-L6-v2, or random weights of m3e-base's size",
    )
    parser.add_argument(
        "--only", default="", metavar="PART,PART", help="only contenders or scenes whose name contains one of these"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each workload (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds in a run (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the corpus (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=30, help="minutes of the soak test (default: %(default)s)")
    options = parser.parse_args()
    if options.write and not BENCHMARKS[options.benchmark][1]:
        parser.error(f"--write: {options.benchmark} has no table")
    return options


if __name__ == "__main__":
    _main()
