"""The metrics of all workers, in Prometheus's text format."""

from service.errors import CommandFailed, MetricsUnavailable
from service.hosting import uwsgi
from service.hosting.master import Master


def read_metrics() -> str:
    """Ask uWSGI's master for the load of its workers.

    Raises:
        MetricsUnavailable: no master runs this process, or it does not answer.
    """
    run_dir = uwsgi.run_dir()
    if run_dir is None:
        raise MetricsUnavailable("the metrics come from uWSGI's master, which does not run here")
    try:
        workers = Master(run_dir).workers()
    except CommandFailed as error:
        raise MetricsUnavailable(str(error)) from None
    held = sum(core.in_request for worker in workers for core in worker.cores) - 1  # without the request that asks
    ready = sum(worker.accepting for worker in workers)
    starts = sum(worker.respawn_count for worker in workers)
    return (
        _sample("requests_in_flight", "gauge", held, "Requests that the workers hold, waiting or computed.")
        + _sample("workers_ready", "gauge", ready, "Workers that have loaded their model.")
        + _sample("worker_starts_total", "counter", starts, "Times that a worker was started, reloads included.")
    )


def _sample(name: str, kind: str, value: int, meaning: str) -> str:
    name = f"embeddings_{name}"
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n{name} {value}\n"
