"""The composition root: settings, model, engine, routes. The only module that knows them all."""

import atexit
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask import Flask

from service import __version__, aliases, cpu, keys
from service.api import batches, contract, dialects, faults, files, gate, info, openapi, operations
from service.api.answers import OpenAIRefusal
from service.api.cors import Cors
from service.api.door import Door
from service.api.envelope import STATUS, envelope
from service.api.ledger import Ledger
from service.batches.store import Store
from service.engine.cache import Cache, LocalCache
from service.engine.engines import Engines
from service.engine.host import Host
from service.engine.limits import Limits
from service.engine.model import Model, RerankModel
from service.hosting import advice, malloc, roster, scrape, server, shared_cache, shutdown, steps, uwsgi
from service.hosting.client import Connection
from service.hosting.per_process import PerProcess
from service.hosting.traces import Traces
from service.metrics import Metrics
from service.models import catalog
from service.settings import Settings
from service.web import docs, page

#: Bodies of the largest size that a worker holds at a time.
HELD_BODIES = 4


def create_app(settings: Settings | None = None, *models: Model, rerank_model: RerankModel | None = None) -> Flask:
    """Build the service. Unless models are given, each process that serves loads its own.

    Raises:
        StartError: a setting or the model cannot be used.
    """
    malloc.limit_malloc()
    settings = settings or Settings.from_env()
    metrics = scrape.open_metrics()
    traces = Traces(settings.otel_endpoint) if settings.otel_endpoint else None
    engines = PerProcess(lambda: start_engines(settings, metrics, models, rerank_model, traces))
    engines.prepare()

    store = open_store(settings)
    app = Flask("service", static_folder=None)
    app.url_map.strict_slashes = False
    app.config.update(config_of(settings))
    app.extensions.update(engines=engines.get, state=lambda: roster.read(metrics))
    app.extensions["metrics"] = lambda: scrape.read(metrics, store.batches if store else None)
    add_routes(app)
    if store:
        app.extensions["store"] = store
        app.register_blueprint(files.routes)
        app.register_blueprint(batches.routes)
    if settings.web == "on":
        app.extensions["page"] = page.show
        app.register_blueprint(page.routes)
    if settings.api_keys_file:
        workers = server.worker_count() or settings.workers
        gate.register(app, keys.Keyring(settings.api_keys_file), keys.Allowance(workers))
    ledger = Ledger(metrics, settings.log_requests, settings.slow_seconds, traces.record if traces else None)
    refusals = {each.routes.name: each.refuse for each in (*dialects.ALL, batches, page)}
    door = Door(app, refusals, lambda: engines.get().admission, ledger)
    origins = settings.origins()
    app.wsgi_app = Connection(Cors(door, origins) if origins else door)  # type: ignore[method-assign]  # Flask's own idiom
    return app


def config_of(settings: Settings) -> dict[str, Any]:
    """Return what the views read of the settings."""
    return {
        "MAX_CONTENT_LENGTH": settings.max_body_bytes,
        "MAX_INPUTS": settings.max_inputs,
        "TRUNCATE": settings.truncate,
        "TOKEN_IDS": settings.token_ids,
        "ALIASES": aliases.read(settings.model_aliases),
        "STARTED": int(time.time()),
        "VERSION": __version__,
    }


def add_routes(app: Flask) -> None:
    """Register every blueprint, and what answers the errors outside of all."""
    faults.register(app, STATUS, envelope)
    contract.errors(app, STATUS, OpenAIRefusal)
    for routes in (operations.routes, info.routes, docs.routes, *(dialect.routes for dialect in dialects.ALL)):
        app.register_blueprint(routes)
    openapi.register(app)


def start_engines(
    settings: Settings,
    metrics: Metrics,
    models: Sequence[Model],
    rerank_model: RerankModel | None = None,
    traces: Traces | None = None,
) -> Engines:
    """Load the models, unless they are given, and start the engines around them."""
    steps.note("imported")
    workers = server.worker_count() or settings.workers
    advice.warn(workers)
    cpu.limit_tokenizers(cpu.share(workers))
    names = {model.name: model.name for model in models}
    if not models:
        models = [catalog.load(each, uwsgi.worker_number(), workers) for each in settings.each_model()]
        names = dict(zip((each.model for each in settings.each_model()), (model.name for model in models), strict=True))
    if not rerank_model and (own := settings.reranker()):
        rerank_model = catalog.load_reranker(own, uwsgi.worker_number(), workers)
    steps.note("loaded")
    further = aliases.resolve(aliases.read(settings.model_aliases), names, rerank_model.name if rerank_model else None)
    host = Host(shutdown.end_worker, malloc.trim, uwsgi.worker_file("batch"))
    every = [*models, rerank_model] if rerank_model else models
    meter = metrics.serve({model.name: model.revision for model in every})
    cache = open_cache(settings)
    engines = Engines(models, host, limits_of(settings), meter, aliases=further, rerank_model=rerank_model, cache=cache)
    engines.calibrate()
    if traces:
        traces.start()
    atexit.register(engines.close)  # uWSGI skips it: there requests are finished before a worker ends
    return engines


def open_cache(settings: Settings) -> Cache | None:
    """Return the cache of results: uWSGI's if it has one, else one of this process."""
    if not settings.cache_items:
        return None
    if uwsgi.has_cache(shared_cache.NAME):
        return shared_cache.SharedCache(__version__)
    return LocalCache(settings.cache_items * shared_cache.BLOCK_BYTES)


def open_store(settings: Settings) -> Store | None:
    """Return the files and batches of clients, if there are any."""
    kept = settings.batches_bytes, settings.batches_seconds
    return Store(Path(settings.batches), *kept) if settings.batches else None


def limits_of(settings: Settings) -> Limits:
    """Return how much a worker takes on."""
    return Limits(
        max_batch_tokens=None if settings.max_batch_tokens == "auto" else settings.max_batch_tokens,
        max_queue_tokens=settings.max_queue_tokens,
        max_requests=settings.max_requests(),
        max_held_bytes=HELD_BODIES * settings.max_body_bytes,
        request_timeout=settings.request_timeout,
        batch_timeout=None if settings.batch_timeout == "auto" else settings.batch_timeout,
    )
