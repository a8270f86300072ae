"""``python -m bench``: compare servers, or see how this one grows, lasts (soak), stands overload, uses CPU or GPU."""

import argparse
import logging
import sys
from pathlib import Path

from bench import comparison, contenders, gpu, growth, report, soak, synthetic, texts
from bench.limits import columns
from bench.limits import run as limits
from bench.torture import run as torture
from bench.torture import verdict
from service.models import sources

log = logging.getLogger("bench")

RESULTS = Path(__file__).parent / "results"
PLOTS = Path(__file__).parent.parent / "docs" / "plots"


def _main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    options = _parser().parse_args()
    model, write = sources.find("all-MiniLM-L6-v2").directory, texts.english
    if options.model == "bert-base":
        model, write = synthetic.save_model(RESULTS.parent / "models" / "bert-base"), texts.chinese
    path = RESULTS / f"{options.benchmark}-{options.model}.json"
    if options.benchmark == "compare":
        names = [name for name in contenders.NAMES if any(part in name for part in options.only.split(","))]
        results = comparison.compare(str(model), write, names, options.rounds, options.seconds)
        report.save(path, {"results": results})
        print(comparison.tables(results))
    elif options.benchmark == "growth":
        longest = 256 if options.model == "minilm" else 512
        results = growth.grow(str(model), write, options.rounds, options.seconds, longest)
        report.save(path, {"results": results})
        growth.draw(results, PLOTS, options.model)
    elif options.benchmark == "soak":
        report.save(path, {"results": soak.soak(str(model), write, options.minutes)})
    elif options.benchmark == "torture":
        results = torture.run(str(model), options.only.split(","))
        report.save(path, {"results": results})
        print(verdict.table(results))
        if options.write:
            verdict.write(options.write, results)
    elif options.benchmark == "limits":
        results = columns.merge(report.load(path), limits.run(model, options.rounds, options.only.split(",")))
        report.save(path, {"results": results})
        print(columns.table(results))
        if options.write:
            columns.write(options.write, results)
    else:
        report.save(path, {"results": gpu.measure(str(model), write, options.rounds, options.seconds)})
    log.info("written to %s", path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "benchmark", nargs="?", choices=["compare", "growth", "soak", "torture", "limits", "gpu"], default="compare"
    )
    parser.add_argument(
        "--model",
        choices=["minilm", "bert-base"],
        default="minilm",
        help="all-MiniLM-L6-v2, or random weights of m3e-base's size",
    )
    parser.add_argument(
        "--only", default="", metavar="PART,PART", help="only contenders or scenes whose name contains one of these"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put the table of the torture or the limits into this document"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each workload (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds in a run (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=30, help="minutes of the soak test (default: %(default)s)")
    return parser


if __name__ == "__main__":
    _main()
