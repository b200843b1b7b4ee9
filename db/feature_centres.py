"""The centre of each space of features: what its photos have in common. Set once, by the first photos of the space.

Sixteen photos do as well as all, sixteen of one place nearly as well: what matters is the part that all photos share.
"""

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.feature_codes import Floats
from db.schema import FeatureCentre
from db.session import utc_now
from db.statements import insert_missing

FEWEST = 8


def centre_of(session: Session, space: str) -> Floats | None:
    """The centre (channels,); None until the space has one."""
    found = session.scalars(select(FeatureCentre.centre).where(FeatureCentre.space == space)).one_or_none()
    return None if found is None else np.frombuffer(found, "<f4")


def ensure_centre(session: Session, space: str, vectors: Floats) -> Floats | None:
    """The centre; of a space without one it is now the mean of these vectors (n, channels), if they are enough."""
    centre = centre_of(session, space)
    if centre is not None or len(vectors) < FEWEST:
        return centre
    row = {"space": space, "centre": vectors.mean(axis=0).astype("<f4").tobytes(), "created_at": utc_now()}
    insert_missing(session, FeatureCentre, [row])
    return centre_of(session, space)  # another process may have been first
