"""Contenders without HTTP: this service's engine and a plain ``encode`` loop."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable


def _measure(embed: Callable[[list[str]], object], texts: list[list[str]], clients: int, seconds: float) -> list[float]:
    """Run ``clients`` closed loops; return requests a second and p50, p95, p99 in milliseconds."""
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


def _build_engine() -> Callable[[list[str]], object]:
    from service.engine.engines import Engines
    from service.engine.host import Host
    from service.hosting import shutdown
    from service.models import catalog
    from service.settings import Settings

    models = [catalog.load(Settings.from_env(), 1, workers=1)]
    return Engines(models, Host(shutdown.end_worker)).find().embed


def _build_encode() -> Callable[[list[str]], object]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(os.environ["BENCH_MODEL"])
    lock = threading.Lock()

    def embed(texts: list[str]) -> object:
        with lock:
            return model.encode(texts)

    return embed


def _main() -> None:
    embed = {"engine": _build_engine, "encode": _build_encode}[sys.argv[1]]()
    embed(["warm"])
    print("ready", flush=True)
    for line in sys.stdin:  # {"texts": [[..], ..], "clients": n, "seconds": s}
        command = json.loads(line)
        result = _measure(embed, command["texts"], command["clients"], command["seconds"])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    _main()
