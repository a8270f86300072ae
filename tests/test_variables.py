"""What is refused before uWSGI binds anything, and what an orchestrator may set."""

import subprocess
import sys

import pytest

from service import variables
from service.errors import BadSetting

#: Kubernetes' for services called "embed" and "embed-api", Docker's for a link.
INJECTED = {
    "EMBED_SERVICE_HOST": "10.0.0.1",
    "EMBED_SERVICE_PORT": "80",
    "EMBED_SERVICE_PORT_HTTP": "80",
    "EMBED_PORT": "tcp://10.0.0.1:80",
    "EMBED_PORT_80_TCP": "tcp://10.0.0.1:80",
    "EMBED_PORT_80_TCP_ADDR": "10.0.0.1",
    "EMBED_PORT_80_TCP_PORT": "80",
    "EMBED_PORT_80_TCP_PROTO": "tcp",
    "EMBED_API_SERVICE_HOST": "10.0.0.2",
    "EMBED_API_PORT": "udp://10.0.0.2:80",
}


def refusal(name, value):
    with pytest.raises(BadSetting) as refused:
        variables.read({name: value})
    return str(refused.value)


def test_what_an_orchestrator_injects_is_ignored():
    assert variables.read(INJECTED | {"EMBED_MODEL": "m"}) == {"EMBED_MODEL": "m"}


def test_a_port_that_a_person_set_is_not_ignored():
    assert variables.read({"EMBED_PORT": "7000"}) == {"EMBED_PORT": "7000"}


@pytest.mark.parametrize("value", ["127.0.0.1:5000", "[::1]:5000", ":5000", "localhost:65535", "0.0.0.0:1"])
def test_an_address_that_uwsgi_can_bind_is_accepted(value):
    assert variables.read({"EMBED_HTTP": value})


@pytest.mark.parametrize("value", ["127.0.0.1:3031", "127.8.8.8:3031", "[::1]:3031", "localhost:3031"])
def test_the_uwsgi_protocol_is_spoken_on_this_machine(value):
    assert variables.read({"EMBED_SOCKET": value})


@pytest.mark.parametrize(
    "host", ["", "*", "0.0.0.0", "[::]", "10.0.0.11", "127.*", "[fe80::1]", "embed", "localhost.x", "127.0.0.1.x"]
)
def test_the_uwsgi_protocol_does_not_leave_this_machine(host):
    complaint = refusal("EMBED_SOCKET", f"{host}:3031")

    assert complaint.startswith(f"EMBED_SOCKET={host}:3031: the uwsgi protocol trusts whoever connects")
    assert "EMBED_HTTP" in complaint


@pytest.mark.parametrize(
    "value",
    ["7123", "http://127.0.0.1:7122", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "::1:5000", "/run/s", "a:1:2"],
)
def test_what_is_no_address_is_refused_with_an_example(value):
    expected = f"EMBED_HTTP={value}: expected ADDRESS:PORT, such as 127.0.0.1:5000 or [::1]:5000"

    assert refusal("EMBED_HTTP", value) == expected


@pytest.mark.parametrize("name", ["EMBED_HTTP", "EMBED_SOCKET"])
@pytest.mark.parametrize("port", [0, 65536, 99999999999])
def test_a_port_out_of_range_is_refused(name, port):
    assert "the port must be between 1 and 65535" in refusal(name, f"127.0.0.1:{port}")


@pytest.mark.parametrize("value", ["/run/embeddings/socket", "./socket", "@abstract"])
def test_a_unix_socket_is_accepted(value):
    assert variables.read({"EMBED_SOCKET": value})


@pytest.mark.parametrize("value", ["3031", "localhost", "socket", "unix:/run/s", "http://127.0.0.1:1", "/run/a:b"])
def test_what_is_no_socket_is_refused_with_examples(value):
    assert refusal("EMBED_SOCKET", value).startswith(f"EMBED_SOCKET={value}: expected a path such as /run/")


@pytest.mark.parametrize(("name", "longest"), [("EMBED_SOCKET", 102), ("EMBED_RUN_DIR", 96)])
def test_a_path_too_long_for_a_unix_socket_is_refused(name, longest):
    assert variables.read({name: "/" + "é" * ((longest - 2) // 2) + "x"})
    assert f"at most {longest} bytes" in refusal(name, "/" + "é" * (longest // 2))


@pytest.mark.parametrize("name", ["EMBED_MODEL", "EMBED_HTTP", "EMBED_RUN_DIR", "EMBED_MODLE"])
@pytest.mark.parametrize("character", ["\r", "\n", "\x1b", "\x7f", "\x9b"])
def test_a_control_character_is_refused_and_shown_escaped(name, character):
    complaint = refusal(name, f"a{character}")

    assert complaint.startswith(f"{name}={f'a{character}'!r} holds a control character")
    assert complaint.isprintable()


@pytest.mark.parametrize("name", ["EMBED_API_KEY", "EMBED_API_KEYS_FILE", "EMBED_HF_TOKEN", "EMBED_PASSWORD"])
def test_a_value_that_may_be_secret_is_not_shown(name):
    assert refusal(name, "hidden\r").startswith(f"{name} holds a control character")


def test_the_check_needs_the_standard_library_alone():
    program = "import sys; sys.path.insert(0, '.'); from service import logs, variables"

    subprocess.run([sys.executable, "-IS", "-c", program], check=True)


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "https://app.example.com",
        "http://localhost:3000, https://A.example",
        "http://[::1]:80",
        "app://obsidian.md",
    ],
)
def test_origins_of_pages_are_accepted(value):
    assert variables.read({"EMBED_CORS_ORIGINS": value})


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("app.example.com", "app.example.com"),
        ("https://a.example/", "https://a.example/"),
        ("https://a.example,*", "*"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://a.example https://b.example", "https://a.example https://b.example"),
        ("https://a.example,", ""),
        ("null", "null"),
    ],
)
def test_what_is_no_origin_is_refused_with_examples(value, wrong):
    complaint = refusal("EMBED_CORS_ORIGINS", value)

    assert complaint.startswith(f"EMBED_CORS_ORIGINS={value}: {wrong!r} is no origin; expected * or origins")
