"""How this process's malloc behaves: glibc's, whose defaults suit many threads and not much memory."""

import ctypes

#: From malloc.h.
M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8


def keep_little() -> None:
    """Keep two arenas, not eight for each core, and give freed memory above a megabyte back to the system.

    After the same 2000 short texts, 160 requests of documents and two of 2048, a worker's own memory is 224 MB instead
    of 276 MB. Does nothing where malloc is not glibc's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_TRIM_THRESHOLD, 2**20)
