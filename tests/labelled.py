"""Photos that people have labelled, with features of a few kinds in files: what a training worker looks at."""

from typing import NamedTuple

import numpy as np
from sqlalchemy import func, select

from db.blobs import Blobs
from db.features import record_shard, store_shard
from db.labels import ensure_labels
from db.reviews import Said, record_verdicts
from db.schema import ReviewAction, ReviewHint
from db.session import Database
from db.users import local_admin
from tests.library_rows import add_photos

SPACE = "a" * 64
KINDS = 5
SHARD = 9


class World(NamedTuple):
    """Photos of five kinds, and the label that fits each."""

    database: Database
    blobs: Blobs
    photo_ids: list[int]
    label_ids: list[int]

    def fitting(self, photo_id: int, shift: int = 0) -> int:
        """The label of the photo's kind, or of the kind that many further."""
        return self.label_ids[(photo_id - self.photo_ids[0] + shift) % KINDS]


def make_world(
    database: Database, blobs: Blobs, count: int, *, channels: int = 32, noise: float = 0.6, shard: int = SHARD
) -> World:
    """Photos with features, `shard` in each file, and nothing said of them. Kinds are the harder to tell with more noise."""
    rng = np.random.RandomState(4)
    kinds = rng.standard_normal((KINDS, 1, 1, channels))[np.arange(count) % KINDS]
    features = np.maximum(kinds + noise * rng.standard_normal((count, 2, 2, channels)), 0.0).astype(np.float16)
    with database.transaction() as session:
        ids = add_photos(session, [{} for _ in range(count)])
        for start in range(0, count, shard):
            part = ids[start : start + shard]
            record_shard(session, SPACE, store_shard(blobs, SPACE, features[start : start + shard]), part)
        label_ids = ensure_labels(session, [[f"kind {number}"] for number in range(KINDS)])
    return World(database, blobs, ids, label_ids)


def say(world: World, labels: dict[int, int], reason: str | None = None) -> None:
    """A person gives photos these labels."""
    said = [Said(photo_id, "label", label_id, None, reason, None) for photo_id, label_id in labels.items()]
    with world.database.transaction() as session:
        token = f"{session.scalars(select(func.count()).select_from(ReviewAction)).one()}"
        record_verdicts(session, local_admin(session), said, token=token, source="single")


def hints(world: World) -> dict[int, float]:
    """Photos that are said to be mislabelled, with their urgency, as far as no verdict has settled it."""
    query = select(ReviewHint.photo_id, ReviewHint.urgency).where(
        ReviewHint.reason == "mislabelled", ~ReviewHint.settled
    )
    with world.database.reading() as session:
        return {row.photo_id: row.urgency for row in session.execute(query)}
