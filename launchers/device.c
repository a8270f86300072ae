/* A device that breaks as CUDA does: initialised in one process, it refuses in every process forked off that one.
 *
 * torch raises its flag in a child handler that pthread_atfork() registers (torch/csrc/utils/device_lazy_init.h), so
 * that a fork() in C, as uWSGI's, raises it as well as Python's os.fork(). This does the same, without a GPU.
 */
#include <pthread.h>

static int initialised, in_bad_fork;

static void mark_child(void) { in_bad_fork = 1; }

/* Returns 0, or -1 in a process that was forked after the device had been initialised. */
int device_init(void)
{
    if (in_bad_fork)
        return -1;
    if (!initialised)
        pthread_atfork(0, 0, mark_child);
    initialised = 1;
    return 0;
}
