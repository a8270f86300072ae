"""The command line: ``python -m service check``, ``export``, ``bulk``, ``batches``, ``keys`` and ``reload``."""

import argparse
import logging
import sys
import warnings
from pathlib import Path

import msgspec

from service import aliases, keys, logs
from service.batches import watcher
from service.batches.store import Store
from service.bulk import command as bulk
from service.errors import BadSetting, ServiceError, StartError
from service.hosting import shutdown, systemd
from service.hosting.master import Master
from service.models import cache, catalog, export, sources
from service.models.artifact import Artifact, Unsupported
from service.models.sources import Source
from service.settings import Settings

log = logging.getLogger("service")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 after one line on standard error that says what to change."""
    logs.set_up_logging()
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ServiceError as error:
        log.error("%s", error)  # noqa: TRY400  # one line for an operator
        return 1


def _export(options: argparse.Namespace) -> int:
    warnings.simplefilter("ignore")  # three libraries' deprecations
    if options.attached:
        shutdown.die_with_stdin()
    settings = Settings.from_env()
    cache_dir = cache.locate(options.cache_dir or settings.cache_dir)
    for model, revision in _models_to_export(options, settings):
        source = sources.resolve(model, revision)
        if options.name:
            source = source._replace(name=options.name)
        artifact = Artifact(source, cache_dir)
        manifest = export.export(artifact)
        if isinstance(manifest, Unsupported):
            log.warning("%s cannot be run by OpenVINO, torch will serve it: %s", source.name, manifest.reason)
        print(artifact.directory)  # noqa: T201  # the command's result
    return 0


def _models_to_export(options: argparse.Namespace, settings: Settings) -> list[tuple[str, str]]:
    """Return models and revisions: the one that is named, else all that the settings name."""
    settings = msgspec.structs.replace(settings, revision=options.revision or settings.revision)
    if options.model:
        return [(options.model, settings.revision)]
    every = [*settings.each_model(), *filter(None, [settings.reranker()])]
    if options.name and len(every) > 1:
        raise BadSetting("--name needs --model: there are several models")
    return [(each.model, each.revision) for each in every]


def _check(_: argparse.Namespace) -> int:
    try:
        settings = Settings.from_env()
        if settings.api_keys_file:
            keys.read(settings.api_keys_file)
        if settings.batches:
            _open_store(settings)
        found = _prepare(settings)
    except StartError as error:
        log.error("the service cannot start: %s", error)  # noqa: TRY400  # one line for an operator
        return 1
    if any(source.revision for source in found):
        commits = ",".join(source.revision or "main" for source in found)
        print(commits)  # noqa: T201  # for preflight.py, which has the workers serve these commits
    address = "the socket that systemd holds" if systemd.holds_socket() else settings.address()
    log.info("serving %s with %d workers on %s", ", ".join(source.name for source in found), settings.workers, address)
    log.info("settings", extra={"fields": msgspec.structs.asdict(settings)})
    return 0


def _prepare(settings: Settings) -> list[Source]:
    """Find or download every model and compile it if need be; check the names. The reranker is the last."""
    further = aliases.read(settings.model_aliases)
    found = [catalog.prepare(each) for each in settings.each_model()]
    names = {each.model: source.name for each, source in zip(settings.each_model(), found, strict=True)}
    reranker = settings.reranker()
    scorer = catalog.prepare_reranker(reranker) if reranker else None
    aliases.resolve(further, names, scorer.name if scorer else None)
    return [*found, scorer] if scorer else found


def _open_store(settings: Settings) -> Store:
    return Store(Path(settings.batches), settings.batches_bytes, settings.batches_seconds)


def _batches(_: argparse.Namespace) -> int:
    settings = Settings.from_env()
    if not settings.batches:
        raise BadSetting("EMBED_BATCHES is not set; set it to the directory of the service's files and batches")
    watcher.watch(_open_store(settings), settings, catalog.choose, catalog.load)


def _bulk(options: argparse.Namespace) -> int:
    return bulk.run(options, catalog.choose, catalog.load)


def _reload(options: argparse.Namespace) -> int:
    Master(Settings.from_env().run_path()).reload(options.timeout)
    return 0


def _new_key(options: argparse.Namespace) -> int:
    print(keys.create(_key_file(options), options.name, options.tokens_per_minute))  # noqa: T201  # the command's result
    return 0


def _list_keys(options: argparse.Namespace) -> int:
    for key in keys.read(_key_file(options)):
        limit = f"{key.tokens_per_minute} tokens a minute" if key.tokens_per_minute else "no limit"
        print(f"{key.name}\t{limit}")  # noqa: T201  # the command's result
    return 0


def _key_file(options: argparse.Namespace) -> str:
    path = str(options.file or Settings.from_env().api_keys_file)
    if not path:
        raise BadSetting("EMBED_API_KEYS_FILE is not set; set it, or name the file with --file")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="Text embeddings over HTTP.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "export",
        help="compile a model for the CPU ahead of time",
        description="Compile a model for the CPU, compare it with the reference, and print where it is. The service "
        "does this at its first start; do it ahead for an image or a disk that will be read-only.",
    )
    command.add_argument("--model", help="a directory, a Hub name or all-MiniLM-L6-v2 (default: EMBED_MODEL)")
    command.add_argument("--revision", help="commit, tag or branch of a Hub name (default: EMBED_REVISION)")
    command.add_argument("--name", help="what the model is called (default: its name or directory)")
    command.add_argument("--cache-dir", help="where compiled models are kept (default: EMBED_CACHE_DIR)")
    command.add_argument("--attached", action="store_true", help="end when standard input is closed")
    command.set_defaults(run=_export)
    command = commands.add_parser(
        "check",
        help="check the settings and the model",
        description="Check the settings, find or download the model, compile it if need be, and print the commit of a "
        "model from the Hugging Face Hub. The service does this before its first worker starts.",
    )
    command.set_defaults(run=_check)
    _add_bulk(commands)
    _add_batches(commands)
    command = commands.add_parser(
        "reload",
        help="replace one worker after the other",
        description="Replace one worker of the running service after the other and return when all are new. Requests "
        "are answered meanwhile. Fails if a new worker does not start; the ones not replaced yet go on serving.",
    )
    command.add_argument(
        "--timeout", type=float, default=300, metavar="SECONDS", help="fail after this long (default: %(default)s)"
    )
    command.set_defaults(run=_reload)
    command = commands.add_parser(
        "keys", help="make and list API keys", description="Make and list the API keys of EMBED_API_KEYS_FILE."
    )
    _add_key_commands(command.add_subparsers(required=True, metavar="COMMAND"))
    return parser


def _add_batches(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "batches",
        help="run the batches that clients create",
        description="Run the batches of EMBED_BATCHES, one at a time and at the lowest priority, until stopped. "
        "uwsgi.ini starts this; under another server start it beside that, with the same settings.",
    )
    command.set_defaults(run=_batches)


def _add_bulk(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "bulk",
        help="embed files of texts into files of vectors",
        description="Embed files of texts into files of vectors, and go on where an earlier run ended. Returns 0 if "
        "every row has a vector, 3 if some have none (the output says why), 1 if nothing is usable, 130 if stopped.",
    )
    bulk.add_options(command)
    command.set_defaults(run=_bulk)


def _add_key_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    new = commands.add_parser(
        "new",
        help="make a key",
        description="Make a key, print it, and append its name and SHA-256 to the file. The key is not stored: it "
        "cannot be printed again. A running service takes it within a second. To withdraw a key, delete its line.",
    )
    new.add_argument("name", metavar="NAME", help="who gets it; logs and metrics show this name")
    new.add_argument("--tokens-per-minute", type=_positive, metavar="N", help="its limit (default: none)")
    new.set_defaults(run=_new_key)
    list_ = commands.add_parser("list", help="print the names and limits", description="Print the names and limits.")
    list_.set_defaults(run=_list_keys)
    for command in (new, list_):
        command.add_argument("--file", metavar="FILE", help="the file of keys (default: EMBED_API_KEYS_FILE)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
