"""The tagging pipeline in this process: real rows, real decoder processes, the tiny backbone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import func, select, update

from db.batches import cancel_batch
from db.errors import DeviceLostError
from db.schema import Item, Photo, PhotoFeatures, Prediction
from db.session import Database
from tests.integration.accepting import accept, states
from tests.integration.bench import CHUNK, Bench, activate_copy
from tests.samples import encoded, jpeg, photo_folder
from worker.classifier import Classifier
from worker.polling import Polling


@pytest.fixture
def bench(sqlite_database: Database, data_dir: Path) -> Iterator[Bench]:
    """A tagger on SQLite."""
    bench = Bench(sqlite_database, data_dir)
    yield bench
    bench.close()


def test_photos_of_a_folder_end_tagged_with_five_labels_and_previews(bench: Bench, tmp_path: Path) -> None:
    """The plain run: each photo gets its five labels, facts, previews and features."""
    batch_id = accept(bench.database, photo_folder(tmp_path / "photos", 10))

    bench.tag()

    assert states(bench.database, batch_id) == {"tagged": 10}
    with bench.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 50
        assert session.scalar(select(func.count()).select_from(PhotoFeatures)) == 10
        photos = session.scalars(select(Photo)).all()
    assert all(photo.has_previews and photo.format == "JPEG" and photo.shown_label_id for photo in photos)


def test_what_a_turn_claimed_and_did_not_reach_is_tagged_without_a_message(bench: Bench, tmp_path: Path) -> None:
    """Nothing is ready any more, only leased by us: looking for work must not wait until those leases run out."""
    batch_id = accept(bench.database, photo_folder(tmp_path / "photos", 2 * CHUNK))
    while "tagged" not in states(bench.database, batch_id):  # a decoder that is just starting may cost a turn
        assert bench.tagger.tag(0.01)  # one chunk at most
        bench.tagger.flush()
    assert states(bench.database, batch_id) == {"tagged": CHUNK, "leased": CHUNK}
    bench.tagger.last_turn_at = 0.0  # long ago

    Polling(bench.database, tagger=bench.tagger, unpack=None, stopping=lambda: False)()
    bench.tagger.flush()

    assert states(bench.database, batch_id) == {"tagged": 2 * CHUNK}


def test_a_file_that_is_no_photo_is_refused_and_its_neighbours_are_tagged(bench: Bench, tmp_path: Path) -> None:
    """A text named .jpg costs nobody but itself."""
    paths = photo_folder(tmp_path / "photos", 3)
    (tmp_path / "photos" / "letter.jpg").write_text("Dear Sir or Madam")
    batch_id = accept(bench.database, [*paths, tmp_path / "photos" / "letter.jpg"])

    bench.tag()

    assert states(bench.database, batch_id) == {"tagged": 3, "refused": 1}
    with bench.database.reading() as session:
        assert session.scalars(select(Item.code).where(Item.state == "refused")).all() == ["NOT_AN_IMAGE"]


def test_a_file_that_changed_or_went_since_it_was_accepted_fails_with_that_reason(bench: Bench, tmp_path: Path) -> None:
    """What was accepted is what is tagged; other bytes under the same name are not."""
    changed, gone = photo_folder(tmp_path / "photos", 2)
    batch_id = accept(bench.database, [changed, gone])
    changed.write_bytes(jpeg(50, 50))
    gone.unlink()

    bench.tag()

    assert states(bench.database, batch_id) == {"failed": 2}
    with bench.database.reading() as session:
        codes = session.scalars(select(Item.code).order_by(Item.position)).all()
    assert codes == ["SOURCE_CHANGED", "SOURCE_GONE"]


def test_a_photo_tagged_by_the_same_version_is_finished_without_reading_it(bench: Bench, tmp_path: Path) -> None:
    """The second time costs a row: the files are not even there any more."""
    paths = photo_folder(tmp_path / "photos", 5)
    accept(bench.database, paths)
    bench.tag()
    again = accept(bench.database, paths)
    for path in paths:
        path.unlink()

    bench.tag()

    assert states(bench.database, again) == {"tagged": 5}


def test_another_version_reads_features_instead_of_photos(bench: Bench, tmp_path: Path) -> None:
    """The backbone has seen the photos: a new head needs no pixels, and names itself in the predictions."""
    paths = photo_folder(tmp_path / "photos", 5)
    accept(bench.database, paths)
    bench.tag()
    again = accept(bench.database, paths)
    for path in paths:
        path.unlink()
    other_id = activate_copy(bench.database, bench.data_settings.data_dir, "tiny-2")

    bench.tag()

    assert states(bench.database, again) == {"tagged": 5}
    with bench.database.reading() as session:
        by_version = {
            row[0]: row[1]
            for row in session.execute(
                select(Prediction.model_version_id, func.count()).group_by(Prediction.model_version_id)
            )
        }
        shown = set(session.scalars(select(Photo.shown_model_version_id)))
    assert by_version[other_id] == 25
    assert len(by_version) == 2
    assert shown == {other_id}


def test_a_version_that_does_not_load_leaves_the_previous_one_in_use(bench: Bench, tmp_path: Path) -> None:
    """Tagging goes on with what works, and the worker says why."""
    accept(bench.database, photo_folder(tmp_path / "photos", 2))
    bench.tag()
    folder = bench.data_settings.data_dir / "models"
    other_id = activate_copy(bench.database, bench.data_settings.data_dir, "tiny-2")
    for head in folder.rglob("head.safetensors"):
        head.chmod(0o600)
        head.write_bytes(b"not the head")
    batch_id = accept(bench.database, [_photo(tmp_path / "late.jpg", 7)])

    bench.tag()

    assert states(bench.database, batch_id) == {"tagged": 1}
    with bench.database.reading() as session:
        assert session.scalars(select(Item.model_version_id).where(Item.batch_id == batch_id)).one() != other_id
    assert "tiny-2" in bench.active.note


def test_a_single_photo_overtakes_a_folder_within_one_chunk(bench: Bench, tmp_path: Path) -> None:
    """The folder came first; the photo that someone waits for is in the next chunk."""
    folder = accept(bench.database, photo_folder(tmp_path / "photos", 40))
    bench.tag_some(folder)
    before = states(bench.database, folder)["tagged"]
    single = accept(bench.database, [_photo(tmp_path / "one.jpg", 99)], priority=0)

    bench.tag_some(single, at_least=1)

    assert states(bench.database, single) == {"tagged": 1}
    # those that went with it, and the chunk that may have been built while it was written
    assert states(bench.database, folder)["tagged"] <= before + 2 * CHUNK


def test_cancelling_is_final_at_once(bench: Bench, tmp_path: Path) -> None:
    """What a worker held at that moment is not written afterwards."""
    batch_id = accept(bench.database, photo_folder(tmp_path / "photos", 40))
    bench.tag_some(batch_id)
    with bench.database.transaction() as session:
        cancel_batch(session, batch_id)
        before = session.scalar(select(func.count()).select_from(Prediction))

    bench.tag()

    with bench.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == before
    assert set(states(bench.database, batch_id)) == {"tagged", "cancelled"}


def test_closing_gives_back_what_was_claimed_ahead(bench: Bench, tmp_path: Path) -> None:
    """A worker that stops leaves no lease behind, and nothing half-done."""
    batch_id = accept(bench.database, photo_folder(tmp_path / "photos", 40))
    bench.tag_some(batch_id)

    bench.tagger.close()

    found = states(bench.database, batch_id)
    assert set(found) == {"tagged", "ready"}
    with bench.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Item).where(Item.suspect)) == 0


class _Failing(Classifier):
    """A network that fails on photos that `poison` points out."""

    def __init__(self, inner: Classifier, poison: Any) -> None:
        self.__dict__.update(inner.__dict__)
        self._poison = poison

    def features(self, pixels: Any) -> Any:
        if any(self._poison(photo) for photo in pixels):
            msg = "planted fault"
            raise RuntimeError(msg)
        return super().features(pixels)


def test_a_photo_the_network_fails_on_is_named_and_its_neighbours_are_tagged(bench: Bench, tmp_path: Path) -> None:
    """The chunk is tried one by one: one photo fails, three are tagged."""
    white = tmp_path / "white.jpg"
    white.write_bytes(_plain(255))
    batch_id = accept(bench.database, [*photo_folder(tmp_path / "photos", 3), white])
    bench.active.follow()
    bench.active.classifier = _Failing(bench.active.loaded, lambda photo: bool(np.mean(photo) > 250))

    bench.tag()

    assert states(bench.database, batch_id) == {"tagged": 3, "failed": 1}
    with bench.database.reading() as session:
        assert session.scalars(select(Item.code).where(Item.state == "failed")).all() == ["MODEL_ERROR"]


def test_a_network_that_fails_on_every_photo_blames_the_device(bench: Bench, tmp_path: Path) -> None:
    """No photo is given up for it: they are ready again, a little later, without a strike."""
    batch_id = accept(bench.database, photo_folder(tmp_path / "photos", CHUNK))
    bench.active.follow()
    good = bench.active.loaded
    bench.active.classifier = _Failing(good, lambda _photo: True)

    with pytest.raises(DeviceLostError):
        bench.tagger.tag(10)

    found = states(bench.database, batch_id)
    # on a busy machine one may still be decoded; what was in the chunk is ready
    assert (found["ready"] > 1, found["ready"] + found.get("leased", 0)) == (True, CHUNK)
    bench.active.classifier = good
    with bench.database.transaction() as session:
        session.execute(update(Item).values(not_before=0.0))
    bench.tag()
    assert states(bench.database, batch_id) == {"tagged": CHUNK}


def _photo(path: Path, number: int) -> Path:
    path.write_bytes(jpeg(64, 48, (number, 10, 200)))
    return path


def _plain(value: int) -> bytes:
    return encoded(Image.new("RGB", (64, 48), (value, value, value)), "JPEG")
