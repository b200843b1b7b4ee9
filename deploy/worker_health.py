"""Whether this container's worker is alive: its heartbeat in the database is fresh. Exit code 0 or 1."""

import platform
import sys

from db.session import Database
from db.settings import DataSettings
from db.workers import live_workers

# A worker beats every few seconds, also while a chunk runs.
FRESH_S = 60


def main() -> int:
    """Looks for a heartbeat of a worker on this host."""
    database = Database(DataSettings().resolved_database_url)
    try:
        with database.reading() as session:
            alive = [worker.id for worker in live_workers(session, FRESH_S)]
    finally:
        database.close()
    host = platform.node()[:30]  # as worker.identity begins its ids
    return 0 if any(worker_id.startswith(f"{host}-") for worker_id in alive) else 1


if __name__ == "__main__":
    sys.exit(main())
