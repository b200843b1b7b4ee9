"""What programs that a benchmark has started used of the processor."""

import resource


def processor_s() -> float:
    """Seconds of all child processes that have ended, since this one began."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime
