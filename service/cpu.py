"""What this process may use of the machine's processor: how many cores, and whether they multiply in bfloat16."""

import os
from pathlib import Path

ROOT = Path("/")

#: The instructions that make bfloat16 faster than float32 on a CPU.
BFLOAT16 = {"amx_bf16", "avx512_bf16"}


def cores(root: Path = ROOT) -> int:
    """Return the whole cores that the affinity mask and the cgroup's quota leave, at least 1.

    A quota of 1.5 cores counts as 1: a second thread would be throttled in the middle of each batch.

    Args:
        root: where ``/proc`` and ``/sys`` are; for tests.
    """
    return max(1, int(available(root)))


def available(root: Path = ROOT) -> float:
    """Return the cores that the affinity mask and the cgroup's quota leave, in fractions."""
    return min(len(os.sched_getaffinity(0)), _quota(root))


def share(workers: int) -> int:
    """Return the whole cores for each of ``workers`` processes, at least 1."""
    return max(1, cores() // workers)


def limit_tokenizers(threads: int) -> None:
    """Limit the thread pool of ``tokenizers``, which knows no other process; call this before its first use.

    Does nothing where the user has set it.
    """
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))


def has_bfloat16(root: Path = ROOT) -> bool:
    """Tell whether the CPU has bfloat16 arithmetic: AMX or AVX512-BF16."""
    return bool(BFLOAT16 & set(_cpuinfo("flags", root).split()))


def name(root: Path = ROOT) -> str:
    """Return what the CPU calls itself, family and model included, since a hypervisor may blank the name."""
    return " ".join(_cpuinfo(key, root) for key in ("model name", "cpu family", "model"))


def _cpuinfo(key: str, root: Path) -> str:
    for line in (root / "proc/cpuinfo").read_text().splitlines():
        field, _, value = line.partition(":")
        if field.strip() == key:
            return value.strip()
    return ""


def _quota(root: Path) -> float:
    """Return the smallest CPU quota, in cores, of this process's cgroup and those above it, in either version."""
    quotas = [float("inf")]
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = base / path.lstrip("/")
        quotas += [_quota_of(directory) for directory in (group, *group.parents) if directory.is_relative_to(base)]
    return min(quotas)


def _quota_of(directory: Path) -> float:
    """Read ``cpu.max`` (version 2) or ``cpu.cfs_quota_us`` (version 1); see the kernel's cgroup-v2.rst."""
    quota, period = [*_read(directory / "cpu.max").split(), "", ""][:2]
    if not quota:
        quota, period = (_read(directory / f"cpu.cfs_{value}_us").strip() for value in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else float("inf")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
