"""The uwsgi protocol: who may speak it, and what its packets may ask for."""

import stat

import pytest

from tests.intruder import attack

pytestmark = [pytest.mark.server, pytest.mark.model]


def test_a_packet_runs_no_program_of_its_sender(start, tmp_path):
    """Each is answered by the service itself."""
    service = start(socket=tmp_path / "socket").wait_until_ready()
    answers, ran = attack(tmp_path / "socket", tmp_path)

    assert not ran
    assert all(b"all-MiniLM-L6-v2" in answer for answer in answers)
    assert service.log.count("ERROR: you cannot load more than 1 apps") == len(answers) - 1


def test_only_the_group_may_speak_to_the_unix_socket(start, tmp_path):
    start(socket=tmp_path / "socket").wait_until_ready()

    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o660


def test_the_http_port_does_not_speak_the_protocol(service, tmp_path):
    answers, ran = attack(("127.0.0.1", service.port), tmp_path)

    assert not ran
    assert not any(b" 200 " in answer for answer in answers)


def test_a_socket_that_other_machines_reach_is_refused(start):
    service = start(socket="0.0.0.0:3031")

    assert service.exit_code() == 1
    assert "EMBED_SOCKET=0.0.0.0:3031: the uwsgi protocol trusts whoever connects" in service.log
    assert "bound to" not in service.log
