"""The cache of results in uWSGI's shared memory."""

import os
import signal

import pytest

pytestmark = [pytest.mark.server, pytest.mark.model]

TEXTS = ["a text", "another one", "a text"]


def hits(answer):
    assert answer.status_code == 200
    return int(answer.headers.get("X-Cache-Hits", 0))


def test_workers_share_results_which_outlive_all_of_them(start):
    service = start(workers=2, cache_items=1000).wait_until_ready(2)
    first = service.post(TEXTS)
    again = [service.post(TEXTS) for _ in range(10)]
    before = service.workers()
    service.command("c")
    service.wait_for(lambda: len(service.workers()) == 2 and not service.workers() & before)
    reloaded = service.post([*TEXTS, "new"])
    before = service.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    service.wait_for(lambda: len(service.workers()) == 2 and not service.workers() & before)

    assert hits(first) == 0
    assert [hits(each) for each in [*again, reloaded, service.post(TEXTS)]] == [3] * 12
    assert all(each.json() == first.json() for each in again)
    assert reloaded.json()["data"][:3] == first.json()["data"]
    assert service.metric('embeddings_cache_hits_total{model="all-MiniLM-L6-v2"}') == 36


def test_a_full_cache_goes_on_with_what_is_new(start):
    service = start(cache_items=20).wait_until_ready()
    for number in range(50):
        service.post(f"text {number}")

    assert [hits(service.post(f"text {number}")) for number in (49, 40, 0)] == [1, 1, 0]
    assert "LRU" not in service.log


def test_without_items_nothing_is_kept(start):
    service = start(cache_items=0).wait_until_ready()

    assert [hits(service.post(TEXTS)) for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("items", ["many", "-1", "1.5"])
def test_a_size_that_is_no_number_is_told(start, items):
    service = start(cache_items=items)

    assert service.exit_code() != 0
    assert f"EMBED_CACHE_ITEMS={items}: expected a number" in service.log
