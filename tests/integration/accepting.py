"""Puts photos into a batch as the command line does, for tests of what comes after."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import func, select

from db.batches import NewItem, add_items, create_batch, seal_batch
from db.schema import Item
from db.session import Database
from db.users import local_admin


def accept(database: Database, paths: Sequence[Path], *, priority: int = 5, name: str = "photos") -> str:
    """A sealed batch of photos read in place; returns its id."""
    with database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, name, priority=priority)
        items = [
            NewItem(
                position=position,
                path=path.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                size_bytes=path.stat().st_size,
                source_path=str(path),
            )
            for position, path in enumerate(paths)
        ]
        add_items(session, batch.id, items)
        seal_batch(session, batch.id)
        return batch.id


def states(database: Database, batch_id: str) -> dict[str, int]:
    """How many items of the batch are in each state."""
    with database.reading() as session:
        counted = select(Item.state, func.count()).where(Item.batch_id == batch_id).group_by(Item.state)
        return {row[0]: row[1] for row in session.execute(counted)}
