"""Contenders without HTTP: this service's engine, which no server on it can beat, and a plain ``encode`` loop.

A process of its own that reads lines of ``{"texts": [[..], ..], "clients": n, "seconds": s}`` and answers each.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable


def measure(embed: Callable[[list[str]], object], texts: list[list[str]], clients: int, seconds: float) -> list[float]:
    """Run closed loops of ``clients`` threads; return requests a second and three percentiles in milliseconds."""
    times: list[float] = []
    stop = time.monotonic() + seconds

    def loop(offset: int) -> None:
        turn = offset
        while time.monotonic() < stop:
            started = time.perf_counter()
            embed(texts[turn % len(texts)])
            times.append((time.perf_counter() - started) * 1000)
            turn += 1

    started = time.monotonic()
    threads = [threading.Thread(target=loop, args=(i * 61,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    return [len(times) / (time.monotonic() - started), *(times[int(len(times) * p)] for p in (0.5, 0.95, 0.99))]


def engine() -> Callable[[list[str]], object]:
    """Build the engine as ``create_app`` does."""
    from service.engine.engine import Engine
    from service.hosting import shutdown
    from service.models import catalog
    from service.settings import Settings

    return Engine(catalog.load(Settings.from_env(), 1, workers=1), shutdown.end_worker).embed


def encode() -> Callable[[list[str]], object]:
    """Load sentence-transformers at its defaults; one call at a time."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(os.environ["BENCH_MODEL"])
    lock = threading.Lock()

    def embed(texts: list[str]) -> object:
        with lock:
            return model.encode(texts)

    return embed


def main() -> None:
    """Answer until the input ends."""
    embed = {"engine": engine, "encode": encode}[sys.argv[1]]()
    embed(["warm"])
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        result = measure(embed, order["texts"], order["clients"], order["seconds"])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
