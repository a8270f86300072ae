"""The same wsgi.py behind nginx and under gunicorn: what differs is how a body arrives."""

import pytest
import requests

from tests.programs import program
from tests.server.processes import BIN, Process, free_port

pytestmark = [pytest.mark.server, pytest.mark.model]

#: As little as uWSGI's own documentation asks for.
CONFIGURATION = """
daemon off; pid {directory}/nginx.pid; error_log stderr; events {{}}
http {{
    access_log off; client_body_temp_path {directory}/body; uwsgi_temp_path {directory}/uwsgi;
    proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi; scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ include /etc/nginx/uwsgi_params; uwsgi_pass unix:{socket}; }}
    }}
}}
"""


@pytest.fixture
def launch(tmp_path):
    launched = []

    def launch(*command):
        launched.append(Process(list(map(str, command)), tmp_path))
        return launched[-1]

    yield launch
    for process in launched:
        process.kill()


def answers(url, **options):
    try:
        return requests.post(url + "/embed", timeout=300, **options).json()
    except requests.ConnectionError:
        return None


def test_nginx_reaches_the_socket_and_chunked_bodies_arrive(start, launch, tmp_path):
    start(socket=tmp_path / "socket").wait_until_ready()
    (tmp_path / "socket").chmod(0o666)  # nginx's workers are another user's when root runs the test
    tmp_path.chmod(0o755)
    for above in [each for each in tmp_path.parents if not each.stat().st_mode & 0o055]:
        above.chmod(0o755)
    port = free_port()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(directory=tmp_path, port=port, socket=tmp_path / "socket"))
    nginx = launch(program("nginx"), "-c", configuration)
    url = f"http://127.0.0.1:{port}"
    nginx.wait_for(lambda: answers(url, json={"input": "a"}))

    assert len(answers(url, json={"input": ["one", "two"]})["data"]) == 2
    assert len(answers(url, data=iter([b'{"input": ["one", ', b'"two"]}']))["data"]) == 2


def test_gunicorn_reads_chunked_bodies_too(launch):
    port = free_port()
    gunicorn = launch(BIN / "gunicorn", "-w", "1", "-b", f"127.0.0.1:{port}", "wsgi:app")
    url = f"http://127.0.0.1:{port}"
    gunicorn.wait_for(lambda: answers(url, json={"input": "a"}))

    assert len(answers(url, json={"input": ["one", "two"]})["data"]) == 2
    assert len(answers(url, data=iter([b'{"input": ["one", ', b'"two"]}']))["data"]) == 2
