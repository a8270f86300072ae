import os
import subprocess
import sys

import pytest

from service import cpu


@pytest.fixture
def machine(tmp_path):
    """Write files under a root of the test's own: ``machine({"proc/self/cgroup": "0::/\\n"})``."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


V2 = {"proc/self/cgroup": "0::/system.slice/embed.service\n"}
V1 = {"proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n"}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        (V2, 8),
        (V2 | {"sys/fs/cgroup/system.slice/embed.service/cpu.max": "max 100000\n"}, 8),
        (V2 | {"sys/fs/cgroup/system.slice/embed.service/cpu.max": "300000 100000\n"}, 3),
        (V2 | {"sys/fs/cgroup/system.slice/cpu.max": "200000 100000\n"}, 2),
        (V2 | {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        (V1 | {"sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1\n"}, 8),
        (
            V1
            | {
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        ({"proc/self/cgroup": "4:cpu:/gone\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n"}, 8),
    ],
)
def test_cores_are_what_affinity_and_quota_leave(machine, files, cores):
    assert cpu.cores(machine(files)) == cores


def test_a_quota_above_the_mask_leaves_the_mask(machine):
    assert cpu.cores(machine(V2 | {"sys/fs/cgroup/cpu.max": "1600000 100000\n"})) == 8


@pytest.mark.parametrize(
    ("flags", "has"), [("fpu amx_tile amx_bf16", True), ("fpu avx512_bf16", True), ("fpu avx512f avx_vnni", False)]
)
def test_bfloat16_is_read_from_the_cpus_flags(machine, flags, has):
    assert cpu.has_bfloat16(machine({"proc/cpuinfo": f"model name\t: X\nflags\t\t: {flags}\n"})) is has


def test_a_cpus_name_has_its_family_and_model(machine):
    assert (
        cpu.name(machine({"proc/cpuinfo": "model name\t: AMD EPYC\ncpu family\t: 26\nmodel\t\t: 2\n"}))
        == "AMD EPYC 26 2"
    )


def test_processes_share_the_cores_and_each_has_one(monkeypatch):
    monkeypatch.setattr(cpu, "cores", lambda: 8)

    assert [cpu.share(workers) for workers in (1, 3, 8, 9)] == [8, 2, 1, 1]


@pytest.mark.model
@pytest.mark.parametrize(("theirs", "pool"), [({}, 3), ({"RAYON_NUM_THREADS": "5"}, 5)])
def test_the_tokenizers_pool_keeps_to_the_share(theirs, pool):
    program = """
import os, tokenizers
from service import cpu
cpu.limit_tokenizers(3)
tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
before = len(os.listdir("/proc/self/task"))
tokenizer.encode_batch_fast(["a"] * 1000)
print(len(os.listdir("/proc/self/task")) - before)
"""
    env = {name: value for name, value in os.environ.items() if name != "RAYON_NUM_THREADS"} | theirs
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)

    assert done.stdout == f"{pool}\n"
