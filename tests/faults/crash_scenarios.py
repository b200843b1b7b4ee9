"""The requests that are interrupted at every step, and what must hold after each was repeated."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from sqlalchemy import select, text, update

import ui.submit
import worker.intake
from db.batches import add_archive, add_items, cancel_batch, create_batch, seal_batch
from db.items import Refused, claim_items, finish_items, sweep
from db.model_versions import activate, active_version, register_version, version_label_ids
from db.orphans import remove_stale_staging
from db.retrying import retry_batch
from db.schema import Batch, Item, User
from db.session import Database
from db.uploads import uploads_of
from db.users import local_admin
from tests.faults.crash_place import Place
from tests.samples import zip_of
from tests.store import pass_time
from ui.listing import examine
from ui.nudge import Nudger
from ui.settings import UiSettings
from ui.single import SinglePhotos
from ui.submit import Intake, Submission, Submitter
from ui.upload import Chunk, Receiver, WrongOffsetError
from worker.limits import Limits

# Groups so small that a few files are several.
ui.submit.FILES_PER_GROUP = 2
worker.intake.GROUP_ITEMS = 2


class Scenario(Protocol):
    """A request. `act` runs in a process that is ended at a step, then once more undisturbed."""

    def prepare(self, place: Place) -> None:
        """What there is before."""
        ...

    def act(self, place: Place) -> None:
        """The request; repeating it must converge."""
        ...

    def check(self, place: Place) -> None:
        """What must hold after the repeat, once all work has ended."""
        ...


class Upload:
    """A batch through the browser: a file in two chunks, a small one, a text, an archive; then the seal."""

    def __init__(self, key: str = "the same key", first: int = 0) -> None:
        self._key = key
        self._first = first

    def prepare(self, place: Place) -> None:
        pass

    def act(self, place: Place) -> None:
        with place.opened() as database:
            asyncio.run(self._send(place, database))

    def check(self, place: Place) -> None:
        place.end_work()
        assert place.check({only_batch(place): 5}) == {"tagged": 4, "refused": 1}

    async def _send(self, place: Place, database: Database) -> None:
        settings, nudger = UiSettings(), Nudger(lambda: None)
        receiver = Receiver(database, place.blobs, place.data_settings, Limits(), settings, nudger)
        with database.transaction() as session:
            user = local_admin(session)
            batch = create_batch(session, user.id, "holiday", priority=2, idem_key=self._key)
        photos = [place.pictures.photo(self._first + number) for number in range(4)]
        files = {
            "a.jpg": photos[0],
            "b.jpg": photos[1],
            "notes.jpg": b"no photo at all",
            "c.zip": zip_of({"1.jpg": photos[2], "2.jpg": photos[3]}),
        }
        with database.reading() as session:
            known = {upload.number: upload for upload in uploads_of(session, batch.id)}
        if batch.state == "receiving":
            for number, (path, content) in enumerate(files.items(), 1):
                at = known[number].received_bytes if number in known else 0
                await self._send_file(receiver, user, Chunk(batch.id, number, path, len(content), at), content)
        with database.transaction() as session:
            seal_batch(session, batch.id)
        receiver.sealed(batch.id, "unpacking")

    async def _send_file(self, receiver: Receiver, user: User, file: Chunk, content: bytes) -> None:
        """In chunks of 300 bytes at first, from where the file's bytes end so far, as the page does."""
        at = file.offset
        while at < file.size:
            end = 300 if at < 300 and file.number == 1 else file.size
            chunk = Chunk(file.batch_id, file.number, file.path, file.size, at)
            try:
                at = (await receiver.receive(user, chunk, body(content[at:end]))).received
            except WrongOffsetError as error:
                at = error.received


class Single:
    """One photo alone: its request has no key, so a repeat may be a second batch, but never a broken one."""

    def prepare(self, place: Place) -> None:
        pass

    def act(self, place: Place) -> None:
        with place.opened() as database:
            singles = SinglePhotos(database, place.blobs, place.data_settings, Limits(), Nudger(lambda: None))
            with database.transaction() as session:
                user = local_admin(session)
            asyncio.run(singles.accept(user, "one.jpg", body(place.pictures.photo(0))))

    def check(self, place: Place) -> None:
        place.end_work()
        batches = batches_of(place)
        assert 1 <= len(batches) <= 2
        assert place.check(dict.fromkeys(batches, 1)).keys() == {"tagged"}


class Folder:
    """`phototag tag --copy` of a folder, in three groups; the same command goes on where it was interrupted."""

    def prepare(self, place: Place) -> None:
        place.pictures.folder(place.data_dir / "photos", 5)

    def act(self, place: Place) -> None:
        with place.opened() as database:
            with database.transaction() as session:
                owner = local_admin(session)
            submission = Submission(examine([place.data_dir / "photos"]), copy=True)
            intake = Intake(database, place.blobs, place.data_settings, Limits())
            submitter = Submitter(intake, owner, submission, lambda _batch_id: None)
            if not batches_of(place) or submitter.find_unfinished():
                submitter.submit()

    def check(self, place: Place) -> None:
        place.end_work()
        assert place.check({only_batch(place): 5}) == {"tagged": 5}


class Unpack:
    """An archive of five photos and a text in three groups, by a worker that dies; the next one goes on."""

    def prepare(self, place: Place) -> None:
        files = {f"{number}.jpg": place.pictures.photo(number) for number in range(5)} | {"notes.txt": b"hello"}
        sha256 = place.blobs.add_bytes(zip_of(files))
        with place.opened() as database, database.transaction() as session:
            batch_id = create_batch(session, local_admin(session).id, "archive", priority=5).id
            add_archive(session, batch_id, 1, "a.zip", sha256=sha256)
            seal_batch(session, batch_id)

    def act(self, place: Place) -> None:
        with place.opened() as database, database.transaction() as session:
            pass_time(session, 1000)
            sweep(session)
        place.unpack("w1")

    def check(self, place: Place) -> None:
        place.end_work()
        assert place.check({only_batch(place): 6}) == {"tagged": 5, "refused": 1}
        remove_stale_staging(place.data_settings.staging_dir, older_than_s=-1)  # who died after its last row left it
        assert not list(place.data_settings.staging_dir.glob("archive-*"))


class Tag:
    """Claim, decode, infer, features, previews, finish; a photo known from before; one that is no photo."""

    def prepare(self, place: Place) -> None:
        place.batch(2)
        place.end_work()
        items = place.photos(5)
        with place.opened() as database, database.transaction() as session:
            batch = create_batch(session, local_admin(session).id, "more", priority=5)
            add_items(session, batch.id, items)
            seal_batch(session, batch.id)

    def act(self, place: Place) -> None:
        with place.opened() as database:
            place.expire(database)
            with place.tagger(database, "w1") as tagger:
                while tagger.tag(10):
                    pass

    def check(self, place: Place) -> None:
        place.end_work()
        sizes = {"photos": 2, "more": 5}
        assert place.check({batch: sizes[name] for batch, name in batches_of(place).items()}) == {"tagged": 7}


class Cancel:
    """A batch of which photos are tagged, held and ready, and an archive is being unpacked."""

    def prepare(self, place: Place) -> None:
        place.batch(6)
        with place.opened() as database, place.tagger(database, "w1") as tagger:
            tagger.tag(0.01)  # one chunk of four
            tagger.flush()
            with database.transaction() as session:
                session.execute(update(Item).where(Item.state == "ready", Item.position == 5).values(path="held.jpg"))
                claim_items(session, "w2", 1, 1000)

    def act(self, place: Place) -> None:
        with place.opened() as database, database.transaction() as session:
            cancel_batch(session, only_batch(place))

    def check(self, place: Place) -> None:
        before = states(place)
        assert before.keys() <= {"tagged", "cancelled"}
        place.end_work()
        assert place.check({only_batch(place): 6}) == before


class Retry:
    """A new batch of what failed. Twice is once."""

    def prepare(self, place: Place) -> None:
        batch_id = place.batch(4)
        with place.opened() as database, database.transaction() as session:
            items = claim_items(session, "w1", 3, 1000)
            finish_items(session, "w1", [Refused(item.item_id, item.attempt, "MODEL_ERROR") for item in items])
            cancel_batch(session, batch_id)

    def act(self, place: Place) -> None:
        with place.opened() as database, database.transaction() as session:
            first = session.scalars(select(Batch.id).where(Batch.retry_of_id.is_(None))).one()
            retry_batch(session, first, local_admin(session).id)

    def check(self, place: Place) -> None:
        place.end_work()
        with place.opened() as database, database.reading() as session:
            retried = {
                row.id: row.retry_of_id is not None for row in session.execute(select(Batch.id, Batch.retry_of_id))
            }
        assert sorted(retried.values()) == [False, True]
        states = place.check({batch_id: 3 if is_retry else 4 for batch_id, is_retry in retried.items()})
        assert states == {"tagged": 3, "failed": 3, "cancelled": 1}


class Sweep:
    """Leases of dead workers end, one photo is given up, a batch is closed."""

    def prepare(self, place: Place) -> None:
        place.batch(4)
        with place.opened() as database, database.transaction() as session:
            claim_items(session, "dead", 4, 1)
            session.execute(update(Item).where(Item.position == 0).values(suspect=True, strikes=2))
            pass_time(session, 1000)

    def act(self, place: Place) -> None:
        with place.opened() as database, database.transaction() as session:
            sweep(session)

    def check(self, place: Place) -> None:
        with place.opened() as database, database.reading() as session:
            strikes = session.scalars(select(Item.strikes).order_by(Item.position)).all()
        assert strikes == [3, 0, 0, 0], "a strike was counted twice"
        place.end_work()
        assert place.check({only_batch(place): 4}) == {"tagged": 3, "failed": 1}


class Activate:
    """Another version becomes the active one: compare and set."""

    def prepare(self, place: Place) -> None:
        place.batch(2)

    def act(self, place: Place) -> None:
        with place.opened() as database, database.transaction() as session:
            active = active_version(session)
            assert active is not None
            labels = version_label_ids(session, active.id)
            other = register_version(session, "other", "trained", active.artifact, active.card, labels)
            activate(session, other.id, active.id, "test")

    def check(self, place: Place) -> None:
        with place.opened() as database, database.reading() as session:
            active = active_version(session)
            assert active is not None
            assert active.name == "other"
        place.end_work()
        assert place.check({only_batch(place): 2}) == {"tagged": 2}


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    kind.__name__.lower(): kind for kind in (Upload, Single, Folder, Unpack, Tag, Cancel, Retry, Sweep, Activate)
}


async def body(content: bytes) -> AsyncIterator[bytes]:
    """A request's body."""
    yield content


def batches_of(place: Place) -> dict[str, str]:
    """Ids and names of all batches."""
    with place.opened() as database, database.reading() as session:
        return {row.id: row.name for row in session.execute(select(Batch.id, Batch.name))}


def only_batch(place: Place) -> str:
    """The id of the one batch there must be."""
    (batch_id,) = batches_of(place)
    return batch_id


def states(place: Place) -> dict[str, int]:
    """How many items are in which state."""
    with place.opened() as database, database.reading() as session:
        counted = session.execute(text("SELECT state, count(*) FROM items GROUP BY state"))
        return {row[0]: row[1] for row in counted}
