"""The composition root: settings, model, engine, routes. The only module that knows them all."""

import atexit
import time

from flask import Flask

from service import __version__, cpu, keys
from service.api import (
    chat,
    cohere,
    contract,
    docs,
    faults,
    gate,
    infinity,
    info,
    notes,
    ollama,
    openai,
    openapi,
    operations,
    platforms,
    rerank,
    similarity,
    tei,
    tokens,
    weaviate,
)
from service.api.answers import OpenAIRefusal
from service.api.cors import Cors
from service.api.door import Door
from service.api.envelope import STATUS, envelope
from service.api.ledger import Ledger
from service.engine.engine import Engine
from service.engine.host import Host
from service.engine.limits import Limits
from service.engine.model import Model
from service.hosting import advice, malloc, scrape, server, shutdown, uwsgi
from service.hosting.client import Connection
from service.hosting.per_process import PerProcess
from service.hosting.traces import Traces
from service.metrics import Metrics
from service.models import catalog
from service.settings import Settings

#: Each has routes that embed, and says in its own words why it refuses.
DIALECTS = (openai, notes, cohere, rerank, infinity, tei, similarity, tokens, platforms, ollama, weaviate, chat)

#: Bodies of the largest size that a worker holds at a time.
HELD_BODIES = 4


def create_app(settings: Settings | None = None, model: Model | None = None) -> Flask:
    """Build the service. Unless ``model`` is given, each process that serves loads its own.

    Raises:
        StartError: a setting or the model cannot be used.
    """
    malloc.limit_malloc()
    settings = settings or Settings.from_env()
    metrics = scrape.open_metrics()
    traces = Traces(settings.otel_endpoint) if settings.otel_endpoint else None
    engine = PerProcess(lambda: start_engine(settings, model, metrics, traces))
    engine.prepare()

    app = Flask("service", static_folder=None)
    app.url_map.strict_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        MAX_INPUTS=settings.max_inputs,
        TRUNCATE=settings.truncate,
        TOKEN_IDS=settings.token_ids,
        STARTED=int(time.time()),
        VERSION=__version__,
    )
    app.extensions.update(engine=engine.get, metrics=lambda: scrape.read(metrics))
    faults.register(app, STATUS, envelope)
    contract.errors(app, STATUS, OpenAIRefusal)
    app.register_blueprint(operations.routes)
    app.register_blueprint(info.routes)
    for dialect in DIALECTS:
        app.register_blueprint(dialect.routes)
    openapi.register(app)
    docs.register(app)
    if settings.api_keys_file:
        workers = server.worker_count() or settings.workers
        gate.register(app, keys.Keyring(settings.api_keys_file), keys.Allowance(workers))
    ledger = Ledger(metrics, settings.log_requests, settings.slow_seconds, traces.record if traces else None)
    refusals = {dialect.routes.name: dialect.refuse for dialect in DIALECTS}
    door = Door(app, refusals, lambda: engine.get().admission, ledger)
    origins = settings.origins()
    app.wsgi_app = Connection(Cors(door, origins) if origins else door)  # type: ignore[method-assign]  # Flask's own idiom
    return app


def start_engine(settings: Settings, model: Model | None, metrics: Metrics, traces: Traces | None = None) -> Engine:
    """Load the model, unless it is given, and start the engine around it."""
    workers = server.worker_count() or settings.workers
    advice.warn(workers)
    cpu.limit_tokenizers(cpu.share(workers))
    model = model or catalog.load(settings, uwsgi.worker_number(), workers)
    max_batch_tokens = None if settings.max_batch_tokens == "auto" else settings.max_batch_tokens
    limits = Limits(
        max_batch_tokens=max_batch_tokens,
        max_queue_tokens=settings.max_queue_tokens,
        max_requests=settings.max_requests(),
        max_held_bytes=HELD_BODIES * settings.max_body_bytes,
        request_timeout=settings.request_timeout,
        batch_timeout=None if settings.batch_timeout == "auto" else settings.batch_timeout,
    )
    host = Host(shutdown.end_worker, malloc.trim, uwsgi.worker_file("batch"))
    engine = Engine(model, host, limits, metrics.serve(model.name, model.revision))
    engine.calibrate()
    if traces:
        traces.start()
    atexit.register(engine.close)  # uWSGI skips it: there requests are finished before a worker ends
    return engine
