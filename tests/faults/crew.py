"""A crew of processes that are killed at random moments and replaced."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import func, select

from db.item_statements import MAX_STRIKES
from db.items import open_item_count
from db.schema import Item
from db.session import Database

Process = subprocess.Popen[Any]


class Crew:
    """Workers on one database. A killed one is replaced at once."""

    def __init__(self, database: Database, start: Callable[[], Process], count: int, dice: random.Random) -> None:
        self._database = database
        self._start = start
        self._dice = dice
        self.workers = [start() for _ in range(count)]

    def kill_holder(self) -> bool:
        """Kills a random worker that holds photos, somewhere between its claim and its write; False if none holds any."""
        found = self._holders()
        if not found:
            return False
        victim = self._dice.choice(sorted(found))
        time.sleep(self._dice.uniform(0, 0.1))
        self.workers[victim].send_signal(signal.SIGSTOP)  # what it holds now it holds when it dies
        if victim in self._holders():
            self.kill(victim)
            return True
        self.workers[victim].send_signal(signal.SIGCONT)
        return False

    def holds_any(self) -> bool:
        """Whether somebody works on a photo right now."""
        return bool(self._holders())

    def kill(self, place: int) -> None:
        """Kills one worker, whatever it does, and starts another in its place."""
        self.workers[place].kill()
        self.workers[place].wait()
        self.workers[place] = self._start()

    def replace_dead(self) -> int:
        """Starts those anew that ended by themselves, as a supervisor does; returns how many."""
        dead = [place for place, worker in enumerate(self.workers) if worker.poll() is not None]
        for place in dead:
            self.workers[place] = self._start()
        return len(dead)

    def _holders(self) -> set[int]:
        """Places of workers that hold leases, but for a photo that another death would rightly give up."""
        by_pid = {worker.pid: place for place, worker in enumerate(self.workers)}
        with self._database.reading() as session:
            held = session.execute(
                select(Item.lease_owner, func.max(Item.strikes))
                .where(Item.state == "leased")
                .group_by(Item.lease_owner)
            )
            pids = {pid_of(owner) for owner, strikes in held if owner and strikes < MAX_STRIKES - 1}
        return {by_pid[pid] for pid in pids if pid in by_pid}


def pid_of(worker_id: str) -> int:
    """The process behind a lease."""
    return int(worker_id.rsplit("-", 2)[1])


def open_items(database: Database) -> int:
    """How many items have not ended."""
    with database.reading() as session:
        return open_item_count(session)


def kill_all(processes: Collection[Process]) -> None:
    """Ends whatever a test leaves behind."""
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
