"""Whether this container's worker is alive: its heartbeat in the database is fresh. Exit code 0 or 1."""

import socket
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
            return 0 if any(w.id.startswith(socket.gethostname()) for w in live_workers(session, FRESH_S)) else 1
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
