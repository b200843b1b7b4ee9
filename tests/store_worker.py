"""A worker that only claims and finishes, as a program for tests that run or kill several.

`python -m tests.store_worker DATABASE_URL LOG CHUNK LEASE_S WORK_S`: appends "claim ITEM ATTEMPT" and
"finish ITEM ATTEMPT" lines to LOG, and ends when no item is open. A full chunk takes WORK_S. An item whose path
starts with "killer" ends the process, as a photo that crashes the network does.
"""

import os
import sys
import time
import uuid
from collections.abc import Iterable

from db.items import claim_items, finish_items, open_item_count
from db.model_versions import active_version
from db.session import Database
from tests.store import tag_all


def main(url: str, log: str, chunk: int, lease_s: float, work_s: float) -> None:
    """Works until nothing is open."""
    database = Database(url)
    owner = f"store-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with database.reading() as session:
        version = active_version(session)
    assert version is not None
    while True:
        with database.transaction() as session:
            items = claim_items(session, owner, chunk, lease_s)
        if not items:
            with database.reading() as session:
                if open_item_count(session) == 0:
                    return
            time.sleep(0.05)
            continue
        note(log, (f"claim {item.item_id} {item.attempt}" for item in items))
        time.sleep(work_s * len(items) / chunk)
        if any(item.path.startswith("killer") for item in items):
            os._exit(9)
        with database.transaction() as session:
            written = finish_items(session, owner, tag_all(session, items, version.id))
        note(log, (f"finish {item.item_id} {item.attempt}" for item in items if item.item_id in written))


def note(log: str, lines: Iterable[str]) -> None:
    """One write, so that lines of several processes do not mix."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, "".join(f"{line}\n" for line in lines).encode())
    os.close(handle)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
