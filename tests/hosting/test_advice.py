"""What an operator got wrong is told with the fix."""

import re
from pathlib import Path

import pytest

from service.errors import BadSetting
from service.hosting import advice, preflight

INI = Path(__file__).parent.parent.parent / "uwsgi.ini"

MINE = {"http-socket", "listen", "master"}


@pytest.mark.parametrize(("workers", "available"), [(1, 0.5), (2, 1.5), (4, 2)])
def test_more_workers_than_cores_are_told(workers, available):
    (warning,) = advice.about_cores(workers, available)

    assert warning.startswith(f"{workers} workers have {available:g} cores")
    assert "EMBED_WORKERS" in warning
    assert "CPUQuota=" in warning


@pytest.mark.parametrize(("workers", "available"), [(1, 1.5), (2, 2), (1, 64)])
def test_a_core_for_each_worker_is_enough(workers, available):
    assert list(advice.about_cores(workers, available)) == []


@pytest.mark.parametrize("router", ["http", "https"])
def test_uwsgis_router_is_told_with_what_to_use_in_its_place(router):
    (warning,) = advice.about_uwsgi(MINE | {router}, has_master=True)

    assert warning.startswith(f"uWSGI's {router} router answers")
    assert warning.endswith(f"use {router}-socket in its place")


def test_a_missing_master_is_told_with_the_option():
    (warning,) = advice.about_uwsgi(MINE, has_master=False)

    assert warning.endswith("set master = true")


def test_our_own_options_are_not_complained_about():
    assert list(advice.about_uwsgi(MINE, has_master=True)) == []


def test_a_queue_above_the_kernels_limit_is_refused(tmp_path):
    """With the command that raises the limit."""
    limit = tmp_path / "proc/sys/net/core/somaxconn"
    limit.parent.mkdir(parents=True)
    limit.write_text("128\n")

    with pytest.raises(BadSetting, match=r"sysctl -w net.core.somaxconn=1024"):
        preflight.check_queue(1024, tmp_path)
    preflight.check_queue(128, tmp_path)


def test_the_check_knows_the_queue_of_the_ini():
    assert len(set(re.findall(r"^(?:listen|env = EMBEDDINGS_LISTEN) ?= ?(\d+)$", INI.read_text(), re.MULTILINE))) == 1


def test_a_kernel_that_does_not_tell_its_limit_is_no_mistake(tmp_path):
    preflight.check_queue(1024, tmp_path)
