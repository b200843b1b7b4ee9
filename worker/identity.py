"""Names of worker processes: never used twice, and telling of a neighbour whether it still runs."""

import hashlib
import os
import platform
import secrets
from functools import cache
from pathlib import Path


def new_worker_id() -> str:
    """Host, place, pid and a random part: a worker started anew cannot finish what its predecessor claimed."""
    return f"{platform.node()[:30]}-{_place()}-{os.getpid()}-{secrets.token_hex(4)}"


def is_dead_neighbour(worker_id: str) -> bool:
    """Whether `worker_id` ran where this process runs and has ended; False when that cannot be known."""
    parts = worker_id.rsplit("-", 3)
    if len(parts) != 4 or parts[1] != _place() or not parts[2].isdigit():
        return False
    try:
        os.kill(int(parts[2]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


@cache
def _place() -> str:
    """Where pids mean the same: this boot of this machine and this pid namespace (a container has its own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return secrets.token_hex(4)  # not Linux: nobody is a neighbour, leases run out by themselves
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]
