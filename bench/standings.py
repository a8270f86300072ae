"""The tables of the comparison: rates, latencies, costs and what follows from them."""

from typing import Any

from bench import report, texts
from bench.lineup import BEHIND_NGINX

GUNICORN, INFINITY, ENGINE = "notes' app, gunicorn -w 1", "Infinity", "this engine, no HTTP"

Results = dict[str, Any]


def tables(results: Results) -> str:
    """Return the results as Markdown."""
    first = next(iter(results.values()))["workloads"]
    shown = [each for each in texts.workloads() if each.name in first]
    titles = ["", *(each.title for each in shown)]
    rates = [[name, *(_rate(row["workloads"].get(each.name), each) for each in shown)] for name, row in results.items()]
    times = [[name, *(_times(row["workloads"].get(each.name)) for each in shown)] for name, row in results.items()]
    return "\n\n".join(
        [
            "Requests a second, texts a second in the column that says so; errors where there were any.",
            report.table(titles, rates),
            "p50 / p95 / p99 in milliseconds.",
            report.table(titles, times),
            _costs(results),
            *([summary] if (summary := _summary(results)) else []),
        ]
    )


def _rate(run: dict[str, float] | None, workload: texts.Workload) -> str:
    if run is None:
        return ""
    rate = run["texts_per_second" if workload.name == texts.CEILING else "requests_per_second"]
    return report.number(rate) + (f" ({run['errors']:.0f} errors)" if run["errors"] else "")


def _times(run: dict[str, float] | None) -> str:
    return " / ".join(report.number(run[each]) for each in ("p50", "p95", "p99")) if run else ""


def _costs(results: Results) -> str:
    header = ["", "seconds to ready", "RSS MB", "PSS MB", "p95 ms of a short text, idle -> beside bulk"]
    return report.table(
        header,
        [
            [name, report.number(row["seconds_to_ready"]), str(row["Rss"]), str(row["Pss"]), _beside_bulk(row)]
            for name, row in results.items()
        ],
    )


def _beside_bulk(row: dict[str, Any]) -> str:
    times = row.get("beside_bulk")
    if not times:
        return ""
    return " -> ".join(report.number(times[key]) if times[key] else "none answered" for key in ("idle_p95", "busy_p95"))


def _summary(results: Results) -> str:
    """Return this service behind nginx in relation to the others; nothing where one of them is missing."""
    infinity = [row for name, row in results.items() if name.startswith(INFINITY)]
    if not infinity or not {BEHIND_NGINX, GUNICORN, ENGINE} <= set(results):
        return ""

    def rate(row: dict[str, Any], workload: str) -> float:
        return float(row["workloads"][workload]["requests_per_second"])

    ours, gunicorn, engine = results[BEHIND_NGINX], results[GUNICORN], results[ENGINE]
    lines = []
    for workload, title in (("q32", "32 clients, one short text"), ("d8", "8 clients, 32 documents")):
        ratios = [rate(ours, workload) / rate(gunicorn, workload)]
        ratios.append(rate(ours, workload) / max(rate(each, workload) for each in infinity))
        lines.append([f"{title}: against the notes' gunicorn, against Infinity's fastest", _ratios(ratios)])
    shares = [rate(ours, workload) / rate(engine, workload) for workload in ("d8", "q32")]
    told = ", ".join(f"{100 * each:.0f} %" for each in shares)
    lines.append(["share of the engine's rate: 8 clients with documents, 32 clients with a short text", told])
    above = ours["workloads"]["q1"]["p50"] - engine["workloads"]["q1"]["p50"]
    lines.append(["1 client, one short text: p50 above the engine's", f"{above:+.2f} ms"])
    beside = ours["beside_bulk"]
    ratio = _ratios([beside["busy_p95"] / beside["idle_p95"]])
    lines.append(["p95 of a short text beside requests of 2048 documents, against its idle value", ratio])
    return report.table(["summary", ""], lines)


def _ratios(ratios: list[float]) -> str:
    return ", ".join(f"{each:.1f}x" for each in ratios)
