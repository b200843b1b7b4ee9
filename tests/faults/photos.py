"""Photos by the thousand out of a dozen pictures, with the top five that a run without faults finds."""

from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from sqlalchemy import select

from db.blobs import open_blobs
from db.schema import Item, Label, Prediction
from db.session import Database
from db.settings import DataSettings
from tests.faults.oracle import Top
from tests.integration.accepting import accept
from tests.samples import numbered_photo
from worker.active import ActiveClassifier
from worker.decoder_pool import DecoderPool
from worker.first_version import ensure_versions
from worker.settings import WorkerSettings
from worker.tagging import Tagger

PICTURES = 12


class Pictures:
    """Makes photos and knows what a network that nobody disturbs says of each."""

    def __init__(self, tops: list[Top]) -> None:
        self._files = [numbered_photo(number) for number in range(PICTURES)]
        self._tops = tops
        self._picture_of: dict[str, int] = {}

    def photo(self, number: int) -> bytes:
        """A photo that is no other number's: what follows a picture's end is not decoded."""
        picture = number % PICTURES
        content = self._files[picture] + f" {number}".encode()
        self._picture_of[sha256(content).hexdigest()] = picture
        return content

    def folder(self, path: Path, count: int, first: int = 0) -> list[Path]:
        """Writes `count` photos, numbered from `first`."""
        path.mkdir(parents=True)
        paths = [path / f"{number:05}.jpg" for number in range(first, first + count)]
        for number, file in enumerate(paths, first):
            file.write_bytes(self.photo(number))
        return paths

    def top(self, _photo_id: int, sha: str) -> Top:
        """The reference for `tests.faults.oracle.check_rows`."""
        return self._tops[self._picture_of[sha]]


def look_at(database: Database, data_dir: Path) -> Pictures:
    """Tags one photo of each picture in peace, in a database of its own."""
    pictures = Pictures([])
    accept(database, pictures.folder(data_dir / "pictures", PICTURES))
    with healthy_tagger(database, data_dir) as tagger:
        while tagger.tag(30):
            pass
    tops: list[Top] = []
    with database.reading() as session:
        for photo_id in session.scalars(select(Item.photo_id).order_by(Item.position)):
            query = (
                select(Label.name, Prediction.score)
                .join(Label, Label.id == Prediction.label_id)
                .where(Prediction.photo_id == photo_id)
                .order_by(Prediction.rank)
            )
            tops.append([(row.name, row.score) for row in session.execute(query)])
    assert [len(top) for top in tops] == [5] * PICTURES
    return Pictures(tops)


@contextmanager
def healthy_tagger(database: Database, data_dir: Path) -> Generator[Tagger]:
    """A tagger in this process, as an undisturbed worker has one."""
    settings = WorkerSettings(backbone="tiny", redis_url=None)
    data_settings = DataSettings(data_dir=data_dir, database_url=None, blobs_url=None)
    ensure_versions(database, settings, data_settings, lambda _received, _total: None)
    pool = DecoderPool(settings.limits, 1)
    tagger = Tagger(
        database,
        open_blobs(data_settings),
        settings,
        ActiveClassifier(database, settings, data_dir),
        pool,
        "healthy-1",
        chunk_size=16,
        stopping=lambda: False,
    )
    yield tagger
    tagger.close()
    pool.close()
