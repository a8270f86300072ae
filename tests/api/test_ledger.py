import logging
import types

import pytest
from flask import Response

from service.api.exchange import Exchange
from service.api.ledger import MAX_LINES_PER_SECOND, Ledger, Limiter
from service.metrics import Metrics


def close(ledger, status):
    known = Exchange({"REQUEST_METHOD": "GET", "wsgi.input": types.SimpleNamespace(size=0)})
    ledger.close(known, "/embed", Response(status=status)).close()


@pytest.mark.parametrize("status", [501, 503, 504])
def test_a_failure_that_is_no_bug_is_a_warning(caplog, status):
    close(Ledger(Metrics(), "errors", 60), status)

    assert [(line.levelname, line.msg) for line in caplog.records] == [("WARNING", "failed request")]


def test_a_flood_of_refused_requests_fills_no_disk():
    limiter = Limiter()
    allowed = [limiter.allows(second) for second in (5, 6) for _ in range(1000)]

    assert sum(allowed) == 2 * MAX_LINES_PER_SECOND
    assert (limiter.count_left_out(), limiter.count_left_out()) == (2000 - sum(allowed), 0)


def test_the_next_line_tells_how_many_were_left_out(caplog):
    caplog.set_level(logging.INFO)
    ledger = Ledger(Metrics(), "slow", 60)
    for _ in range(10 * MAX_LINES_PER_SECOND):
        ledger._limiter.allows(0)
    close(ledger, 404)

    assert caplog.records[0].fields["left_out"] == 9 * MAX_LINES_PER_SECOND
