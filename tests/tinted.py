"""A library of tinted pictures that people have labelled by their tint: what a run trains on, with the tiny network."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from sqlalchemy import select

from db.batches import NewItem, add_items, create_batch, seal_batch
from db.blobs import Blobs, open_blobs
from db.labels import ensure_labels
from db.reviews import Said, record_verdicts
from db.schema import Photo
from db.session import Database
from db.settings import DataSettings
from db.users import local_admin
from tests.samples import encoded, scene
from training.run_place import RunPlace
from worker.first_version import ensure_versions
from worker.settings import WorkerSettings

TINTS: dict[str, tuple[int, int, int]] = {"rust": (190, 70, 30), "moss": (50, 140, 40), "sea": (30, 80, 190)}


def tinted_photo(seed: int, tint: tuple[int, int, int], strength: float = 0.6) -> bytes:
    """A JPEG of a scene that looks like no other seed's, mostly of one colour."""
    picture = scene(seed, 160, 120)
    return encoded(Image.blend(picture, Image.new("RGB", picture.size, tint), strength), "JPEG", quality=90)


def tint_of(seed: int) -> str:
    """The label of the picture of this seed."""
    return list(TINTS)[seed % len(TINTS)]


def write_class_folders(folder: Path, seeds: range) -> Path:
    """Folders named as the tints, with a picture for each seed."""
    for seed in seeds:
        path = folder / tint_of(seed) / f"{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tinted_photo(seed, TINTS[tint_of(seed)]))
    return folder


@dataclass(frozen=True)
class Tinted:
    """Where it lies, and its photos by seed."""

    place: RunPlace
    data_settings: DataSettings
    photo_ids: dict[int, int]

    @property
    def database(self) -> Database:
        """Its database."""
        return self.place.database

    @property
    def blobs(self) -> Blobs:
        """Its files."""
        return self.place.blobs


def make_tinted(database: Database, data_dir: Path, count: int = 60) -> Tinted:
    """Photos that nobody has tagged, with the label of their tint, and the tiny version active."""
    world = empty_tinted(database, data_dir)
    add_labelled(world, range(count))
    return world


def empty_tinted(database: Database, data_dir: Path, settings: WorkerSettings | None = None) -> Tinted:
    """No photos, and the tiny version active, or the one that comes first with these settings."""
    data_settings = DataSettings(data_dir=data_dir)
    settings = settings or WorkerSettings(backbone="tiny", decoders=1)
    blobs = open_blobs(data_settings)
    ensure_versions(database, settings, data_settings, lambda _done, _total: None)
    return Tinted(RunPlace(database, blobs, data_dir, settings), data_settings, {})


def add_labelled(world: Tinted, seeds: range) -> None:
    """More photos with their labels."""
    add_photos(world, {seed: tinted_photo(seed, TINTS[tint_of(seed)]) for seed in seeds})
    say_tints(world, seeds)


def add_photos(world: Tinted, contents: Mapping[int, bytes]) -> None:
    """More photos by their seeds, without labels."""
    sha256s = {seed: world.blobs.add_bytes(content) for seed, content in contents.items()}
    items = [NewItem(n, f"{seed}.jpg", sha256s[seed], len(contents[seed])) for n, seed in enumerate(contents)]
    with world.database.transaction() as session:
        batch = create_batch(session, local_admin(session).id, "tinted", priority=5)
        add_items(session, batch.id, items)
        seal_batch(session, batch.id)
        ids = {sha256: n for n, sha256 in session.execute(select(Photo.id, Photo.sha256))}
        world.photo_ids.update({seed: ids[sha256s[seed]] for seed in contents})


def say_tints(world: Tinted, seeds: Sequence[int]) -> None:
    """Photos get the labels of their tints, all in one action."""
    with world.database.transaction() as session:
        labels = dict(zip(TINTS, ensure_labels(session, [[name] for name in TINTS]), strict=True))
        said = [Said(world.photo_ids[seed], "label", labels[tint_of(seed)]) for seed in seeds]
        token = hashlib.sha256(f"{[*seeds]}".encode()).hexdigest()
        record_verdicts(session, local_admin(session), said, token=token, source="import")
