"""``python -m service bulk``: its options, and what it prints and returns."""

import argparse
import logging
import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from service.bulk.manifest import Manifest
from service.bulk.rows import count
from service.bulk.runner import Plan, Run
from service.bulk.shards import Shard, divide
from service.bulk.sources import Source
from service.bulk.worker import Load
from service.engine.model import Model
from service.errors import BulkFailed
from service.settings import Settings

log = logging.getLogger(__name__)

#: What the command returns: every row has a vector, nothing is usable, some rows have none, stopped (128 + SIGINT).
ALL, NOTHING, SOME, INTERRUPTED = 0, 1, 3, 130

#: Columns that the output has anyway.
RESERVED = ("vector", "tokens", "truncated", "error")

#: Rows without a vector whose reasons are shown.
SHOWN_ERRORS = 10

#: Does once what all processes of a machine need of the model; returns the settings with which they load it.
Prepare = Callable[[Settings], Settings]

DEVICES = re.compile(r"cpu(:[1-9]\d*)?|cuda(:\d+(,\d+)*)?")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, patterns in quotes, or - for standard input")
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="where the parts go")
    parser.add_argument(
        "--format", choices=["jsonl", "csv", "parquet", "openai-batch"], help="of the inputs (default: by their names)"
    )
    parser.add_argument("--text", default="text", metavar="COLUMN", help="the texts (default: %(default)s)")
    parser.add_argument("--id", metavar="COLUMN", help="the ids (default: the number of the row, from 0)")
    parser.add_argument("--keep", default="", metavar="COLUMNS", help="further columns to keep, commas between them")
    parser.add_argument("--prompt", metavar="NAME", help="the model's prompt to put before texts (default: its own)")
    parser.add_argument("--dimensions", type=int, metavar="N", help="keep so many components (default: all)")
    parser.add_argument("--type", choices=["float32", "float16", "int8", "binary"], default="float32")
    parser.add_argument("--write", choices=["parquet", "jsonl"], default="parquet", help="default: %(default)s")
    parser.add_argument("--devices", metavar="DEVICES", help="cpu:N for N processes, cuda:0,1 (default: EMBED_DEVICE)")
    parser.add_argument(
        "--on", default="local", metavar="WHERE", help="local, ray, ray://HEAD:10001 or ray:ADDRESS (%(default)s)"
    )
    parser.add_argument("--shard-rows", type=int, default=50_000, metavar="N", help="rows of a part (%(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="embed the first N rows alone")
    parser.add_argument("--fresh", action="store_true", help="throw away the parts that are there")
    parser.add_argument("--dry-run", action="store_true", help="read the input and say what would be done")


def run(options: argparse.Namespace, prepare: Prepare, load: Load) -> int:
    """Run the command.

    Args:
        options: of the command line.
        prepare: see ``Prepare``.
        load: loads the model of a process.

    Raises:
        ServiceError: nothing can be done.
    """
    settings = Settings.from_env()
    if options.format == "openai-batch":
        options.write = options.type = "openai-batch"
    keep = {"request": ""} if options.write == "openai-batch" else _columns(options)
    for name in ("dimensions", "shard_rows", "limit"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise BulkFailed(f"--{name.replace('_', '-')} {value}: give a number from 1")
    source = Source(options.inputs, options.text, keep, options.format)
    plan = _plan(options, settings, keep)
    if options.dry_run:
        return _count(divide(source.chunks(options.limit), options.shard_rows))
    if len(settings.each_model()) > 1:
        raise BulkFailed("EMBED_MODEL has several models; name the one to use")
    _check_format(options.write)
    run = _run_on(options.on, plan, source, settings, prepare, load)
    return _tell(run.run(), run)


def _run_on(where: str, plan: Plan, source: Source, settings: Settings, prepare: Prepare, load: Load) -> Run:  # noqa: PLR0913, PLR0917
    """Return the run: with processes of this machine, or with actors of a Ray cluster."""
    if where == "local":
        return Run(plan, source, load, prepare(msgspec.structs.replace(settings, device=plan.devices[0])))
    address = _address(where)
    from service.bulk import head
    from service.bulk.cluster import Cluster

    head.require()
    # This machine may be of another kind: it finds the commit, which is one for all. Each node prepares its own model.
    backend = "torch" if plan.devices[0].startswith("cuda") else settings.backend
    found = prepare(msgspec.structs.replace(settings, device="cpu", dtype="auto", backend=backend))
    settings = msgspec.structs.replace(settings, revision=found.revision)
    return Run(plan, source, partial(_prepare_and_load, prepare, load), settings, start=partial(Cluster, address))


def _address(where: str) -> str:
    """Return an address as Ray takes it."""
    kind, _, address = where.partition(":")
    if kind != "ray":
        raise BulkFailed(f"--on {where}: expected local, ray, ray://HEAD:10001 or ray:ADDRESS")
    return where if address.startswith("//") else address or "auto"


def _prepare_and_load(prepare: Prepare, load: Load, settings: Settings, number: int, sharers: int) -> Model:
    """Do on a node what a run on one machine does once, and load the model."""
    return load(prepare(settings), number, sharers)


def _check_format(write: str) -> None:
    if write == "parquet":
        from service.bulk import parquet

        parquet.require()


def _plan(options: argparse.Namespace, settings: Settings, keep: dict[str, str]) -> Plan:
    names = ("text", "prompt", "dimensions", "type", "write", "shard_rows", "limit")
    asked: dict[str, Any] = {name: getattr(options, name) for name in names} | {"columns": keep}
    if options.write == "openai-batch":
        asked["truncate"] = settings.truncate
    return Plan(
        out=options.out,
        options=asked,
        suffix="parquet" if options.write == "parquet" else "jsonl",
        devices=_devices(options.devices or settings.device),
        shard_rows=options.shard_rows,
        limit=options.limit,
        fresh=options.fresh,
    )


def _columns(options: argparse.Namespace) -> dict[str, str]:
    """Return the columns of the output that come from the input, and what they are called there."""
    kept = [name for name in options.keep.split(",") if name]
    for name in kept:
        if name in {"id", *RESERVED}:
            raise BulkFailed(f"--keep {name}: the output has a column of this name already; rename it in the input")
    return ({"id": options.id} if options.id else {}) | {name: name for name in kept}


def _devices(text: str) -> list[str]:
    """Return a device for each process: ``cpu:2`` is cpu twice, ``cuda:0,1`` is cuda:0 and cuda:1."""
    if text == "auto":
        return ["auto"]
    if not DEVICES.fullmatch(text):
        raise BulkFailed(f"--devices {text}: expected cpu, cpu:2 for two processes, cuda, or cuda:0,1 for two cards")
    kind, _, which = text.partition(":")
    if kind == "cpu":
        return ["cpu"] * int(which or 1)
    return [f"cuda:{number}" for number in dict.fromkeys(which.split(","))] if which else ["cuda"]


def _count(shards: Iterable[Shard]) -> int:
    rows = characters = parts = failed = 0
    for shard in shards:
        parts += 1
        rows += len(shard.texts)
        characters += sum(map(count, shard.texts))
        for error in islice(shard.errors.values(), max(0, SHOWN_ERRORS - failed)):
            log.warning("%s", error)
        failed += len(shard.errors)
    told = f"{rows:,} rows, {failed:,} of them without a text, {characters:,} characters, {parts:,} parts"
    print(told)  # noqa: T201  # the command's result
    return _status(rows, failed)


def _tell(manifest: Manifest, run: Run) -> int:
    seconds = run.progress.seconds()
    log.info(
        "%d rows of which %d have no vector, %d done before, in %d parts, %.0f rows/s, %.0f tokens/s, %.1f s",
        *(manifest.rows, manifest.failed, run.progress.skipped, len(manifest.parts)),
        *(run.progress.rows / seconds, run.progress.tokens / seconds, seconds),
    )
    if run.interrupted:
        log.warning("stopped; run the same command to go on")
        return INTERRUPTED
    if not manifest.complete:
        return SOME if manifest.rows > manifest.failed else NOTHING
    return _status(manifest.rows, manifest.failed)


def _status(rows: int, failed: int) -> int:
    if rows == failed:
        log.error("no row has a text that could be embedded" if rows else "the input has no rows")
        return NOTHING
    return SOME if failed else ALL
