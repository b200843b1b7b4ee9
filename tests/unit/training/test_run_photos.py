"""The photos of a run: decided once, the same after a rebuild from an export, and never astride of near-duplicates."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update

from db.near_duplicates import record_hashes
from db.reviews import undo
from db.schema import PhotoHash, ReviewAction
from db.session import Database
from db.subsets import record_subsets, subsets_of
from db.training_runs import ClaimedRun, fail_run
from db.users import local_admin
from tests.samples import encoded, scene
from tests.tinted import TINTS, Tinted, add_photos, empty_tinted, say_tints, tint_of, tinted_photo
from tests.tinted_runs import claim, last_run
from training.holdout import drawn
from training.networks import network_for_training
from training.run_photos import gather_photos
from training.run_progress import RunProgress
from training.same_picture import PREVIEW
from ui.cli import phototag
from worker.artifact import PACKAGE_DIR, read_card

SEEDS = range(24)
# The same pictures with less colour are other files that look the same.
COPY = 999
COPIES = range(COPY, COPY + len(SEEDS))
PALE = 0.5
HASH = (1 << 32) - 1


@pytest.mark.parametrize(
    ("way", "kept"), [("sqlite to postgres", "what was decided"), ("postgres to sqlite", "verdicts alone")]
)
def test_photos_and_exported_verdicts_give_the_same_subsets(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str, kept: str
) -> None:
    """Sent again in another order, with verdicts out of the file; and photos that come later are decided the same."""
    databases = [request.getfixturevalue(f"{name}_database") for name in way.split(" to ")]
    first, second = (empty_tinted(database, tmp_path / str(n)) for n, database in enumerate(databases))
    send(first, SEEDS)
    say_tints(first, SEEDS[:4])
    with first.database.transaction() as session:
        action_id = session.scalars(select(func.max(ReviewAction.id))).one()
        undo(session, local_admin(session), token="back", action_id=action_id)
    say_tints(first, SEEDS[4:])
    decide(first)
    file = tmp_path / "said.jsonl"
    reviews(first, monkeypatch, "export", "--out", str(file))
    if kept == "verdicts alone":
        forget_subsets(file)

    for seeds in (SEEDS[12:], SEEDS[:12]):
        send(second, seeds)
    reviews(second, monkeypatch, "import", str(file))
    if kept == "verdicts alone":
        decide(second)

    expected = subsets(first)
    assert len(expected) == len(SEEDS)
    assert set(expected.values()) >= {"training", "holdout"}
    assert subsets(second) == expected
    for world in (first, second):
        add_photos(world, {seed: tinted_photo(seed - COPY, TINTS[tint_of(seed)], PALE) for seed in COPIES})
        say_tints(world, COPIES)
        decide(world)
    assert subsets(second) == subsets(first)
    assert [subsets(first)[seed] for seed in COPIES] == [expected[seed - COPY] for seed in COPIES]


def test_photos_of_one_action_are_decided_in_an_order_that_does_not_hang_on_ids(
    sqlite_database: Database, postgres_database: Database, tmp_path: Path
) -> None:
    """A chain of which either end may come first: what is between takes the subset of the one that does."""
    found: list[dict[int, str]] = []
    for database, order in ((sqlite_database, trio()), (postgres_database, trio()[::-1])):
        world = empty_tinted(database, tmp_path / str(len(found)))
        for seed in order:
            send(world, [seed])
        send(world, SEEDS)
        plant(world, HASH, HASH ^ 0xFF, HASH ^ 0xFFFF)
        say_tints(world, SEEDS)
        decide(world)
        found.append(subsets(world))

    assert found[0] == found[1]
    assert len({found[0][seed] for seed in trio()}) == 1


def test_a_photo_follows_the_group_of_its_near_duplicates(database: Database, data_dir: Path) -> None:
    """Two that differ in 12 bits, and between them one that nobody labelled."""
    world = empty_tinted(database, data_dir)
    send(world, SEEDS)
    plant(world, HASH, HASH ^ 0x3F, HASH ^ 0xFFF)
    _, between, other = trio()
    say_tints(world, [seed for seed in SEEDS if seed not in (other, between)])
    say_tints(world, [other])

    decide(world)

    alone = {seed: drawn(sha256(seed)) for seed in SEEDS if seed != between}
    assert alone[other] == "training"
    assert subsets(world) == alone | {other: "holdout"}


@pytest.mark.parametrize(("seen", "decided"), [("the same", "holdout"), ("another", "training")])
def test_a_photo_follows_one_whose_picture_it_is(database: Database, data_dir: Path, seen: str, decided: str) -> None:
    """Its hash differs in 12 bits, its preview is that of the other cropped by 5 %."""
    world = empty_tinted(database, data_dir)
    send(world, SEEDS)
    plant(world, HASH, HASH ^ 0x3F, HASH ^ 0xFFF)
    held_out, between, other = trio()
    cropped = scene(1 if seen == "the same" else 2).crop((16, 12, 624, 468))
    for seed, picture in ((held_out, scene(1)), (other, cropped)):
        world.place.blobs.write_preview(sha256(seed), PREVIEW, encoded(picture, "WEBP"))
    say_tints(world, [seed for seed in SEEDS if seed not in (other, between)])
    decide(world)
    with world.database.transaction() as session:
        session.execute(update(PhotoHash).values(group_id=None))
    say_tints(world, [other])

    decide(world)

    assert subsets(world)[other] == decided
    run = last_run(world)
    assert (run.stage, run.total) == ("snapshot", 1 + 1)  # one that is new, and the snapshot


def test_what_an_import_brings_meanwhile_comes_first(database: Database, data_dir: Path) -> None:
    """Reviews are imported while a run decides: the copy of a photo follows what the import says of it."""
    world = empty_tinted(database, data_dir)
    send(world, SEEDS)
    plant(world, HASH, HASH ^ 0x3F, HASH ^ 0xFF)
    held_out, _, other = trio()
    say_tints(world, [held_out])  # the first to be decided: alone it is held out
    say_tints(world, [seed for seed in SEEDS if seed != held_out])

    decide(world, lambda: record(world, other, "training"))

    assert drawn(sha256(held_out)) == "holdout"
    assert subsets(world)[held_out] == "training"


def trio() -> tuple[int, int, int]:
    """One that is drawn to be held out, and two that are drawn to be trained on."""
    held_out = next(seed for seed in SEEDS if drawn(sha256(seed)) == "holdout")
    between, other = [seed for seed in SEEDS if drawn(sha256(seed)) == "training"][:2]
    return held_out, between, other


def plant(world: Tinted, *phashes: int) -> None:
    """The trio gets these hashes; what has one keeps it."""
    with world.database.transaction() as session:
        ids = [world.photo_ids[seed] for seed in trio()]
        record_hashes(session, dict(zip(ids, phashes, strict=True)))


def sha256(seed: int) -> str:
    """Of the picture's file."""
    return hashlib.sha256(tinted_photo(seed, TINTS[tint_of(seed)])).hexdigest()


def send(world: Tinted, seeds: Sequence[int]) -> None:
    """The pictures of these seeds, in this order, without labels."""
    add_photos(world, {seed: tinted_photo(seed, TINTS[tint_of(seed)]) for seed in seeds})


class Interrupted(RunProgress):
    """Lets something happen when the first photo has been decided."""

    def __init__(self, world: Tinted, run: ClaimedRun, meanwhile: Callable[[], None]) -> None:
        super().__init__(world.database, run)
        self._meanwhile, self._is_deciding = [meanwhile], False

    def begin(self, stage: str, total: int) -> None:
        self._is_deciding = stage == "snapshot"
        super().begin(stage, total)

    def advance(self, steps: int = 1) -> None:
        if self._is_deciding and self._meanwhile:
            self._meanwhile.pop()()
        super().advance(steps)


def record(world: Tinted, seed: int, subset: str) -> None:
    """What an import of reviews writes."""
    with world.database.transaction() as session:
        record_subsets(session, {world.photo_ids[seed]: subset})


def decide(world: Tinted, meanwhile: Callable[[], None] = lambda: None) -> None:
    """A run that ends after its snapshot."""
    run = claim(world)
    card = read_card(PACKAGE_DIR / "tiny")
    network = network_for_training(world.place.settings, world.place.data_dir, card)
    gather_photos(world.place, run, network, Interrupted(world, run, meanwhile))
    with world.database.transaction() as session:
        fail_run(session, run, "enough is known")


def forget_subsets(file: Path) -> None:
    """Leaves what people said, and nothing of what was decided."""
    rows = [json.loads(line) | {"subset": None} for line in file.read_text(encoding="utf-8").splitlines()]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def reviews(world: Tinted, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """`phototag reviews` on the world's database."""
    monkeypatch.setenv("PHOTOTAG_DATABASE_URL", world.database.engine.url.render_as_string(hide_password=False))
    result = CliRunner().invoke(phototag, ["reviews", *arguments, "--data-dir", str(world.place.data_dir)])
    assert result.exit_code == 0, result.output


def subsets(world: Tinted) -> dict[int, str]:
    """What was decided, by seed."""
    with world.database.reading() as session:
        found = subsets_of(session, world.photo_ids.values())
    return {seed: found[photo_id] for seed, photo_id in world.photo_ids.items() if photo_id in found}
