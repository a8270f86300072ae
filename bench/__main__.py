"""``python -m bench``: the comparison; ``growth``: how cost grows; ``soak``: whether memory does; ``gpu``: CUDA."""

import argparse
import logging
import sys
from pathlib import Path

from bench import comparison, contenders, gpu, growth, report, soak, synthetic, texts
from service.models import sources

log = logging.getLogger("bench")

RESULTS = Path(__file__).parent / "results"
PLOTS = Path(__file__).parent.parent / "docs" / "plots"


def main(arguments: list[str] | None = None) -> int:
    """Run one of the benchmarks, print its table and write its JSON."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    options = _parser().parse_args(arguments)
    model, write = sources.find("all-MiniLM-L6-v2").directory, texts.english
    if options.model == "bert-base":
        model, write = synthetic.make(RESULTS.parent / "models" / "bert-base"), texts.chinese
    path = RESULTS / f"{options.what}-{options.model}.json"
    if options.what == "compare":
        names = [name for name in contenders.NAMES if any(part in name for part in options.only.split(","))]
        results = comparison.compare(str(model), write, names, options.rounds, options.seconds)
        report.save(path, {"results": results})
        print(comparison.tables(results))
    elif options.what == "growth":
        longest = 256 if options.model == "minilm" else 512
        results = growth.grow(str(model), write, options.rounds, options.seconds, longest)
        report.save(path, {"results": results})
        growth.draw(results, PLOTS, options.model)
    elif options.what == "soak":
        report.save(path, {"results": soak.soak(str(model), write, options.minutes)})
    else:
        report.save(path, {"results": gpu.measure(str(model), write, options.rounds, options.seconds)})
    log.info("written to %s", path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["compare", "growth", "soak", "gpu"], default="compare")
    parser.add_argument(
        "--model", choices=["minilm", "bert-base"], default="minilm", help="the real one, or m3e-base's size"
    )
    parser.add_argument("--only", default="", metavar="PART,PART", help="contenders whose names hold one of these")
    parser.add_argument("--rounds", type=int, default=3, help="how often each workload runs (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a run takes (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=30, help="how long the soak takes (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
