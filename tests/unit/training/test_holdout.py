"""Hold-out: no two photos that are alike lie astride, whatever the order they come in."""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from db.feature_codes import pooled
from tests.samples import encoded, scene
from training.holdout import ALIKE_DISTANCE, HOLDOUT_SHARE, Fingerprints, alike_distance, assign, drawn
from worker.card import BackboneCard
from worker.decoding import decode
from worker.limits import Limits
from worker.vgg16 import Vgg16Backbone
from worker.weights import CONVOLUTIONS, seeded_weights

CHANNELS = 64
FULL = (1 << 32) - 1  # a hash with 32 bits set, as photos have
CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved again, smaller": lambda image: image.resize((image.width * 6 // 10, image.height * 6 // 10)),
    "cropped by 5 %": lambda image: cut(image, 0.025, 0.025),
    "cropped by 10 %": lambda image: cut(image, 0.05, 0.05),
    "the next shot": lambda image: ImageEnhance.Brightness(cut(image.rotate(1.0), 0.03, 0.04)).enhance(1.08),
}


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def cut(image: Image.Image, across: float, down: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (
            round(width * across),
            round(height * down),
            round(width * (1 - across)),
            round(height * (1 - down)),
        )
    )


def unlike(count: int) -> Fingerprints:
    """Photos that have nothing in common."""
    chance = np.random.RandomState(8)
    hashes = [int(number) for number in chance.randint(-(2**63), 2**63 - 1, count, dtype=np.int64)]
    return Fingerprints([sha(n) for n in range(count)], hashes, chance.exponential(size=(count, CHANNELS)))


def part(photos: Fingerprints, rows: Sequence[int]) -> Fingerprints:
    vectors = None if photos.vectors is None else photos.vectors[list(rows)]
    groups = [photos.groups[row] for row in rows] if photos.groups else ()
    return Fingerprints([photos.sha256s[row] for row in rows], [photos.phashes[row] for row in rows], vectors, groups)


def linked(photos: Fingerprints, alike: float) -> np.ndarray:
    """Which photos are alike (n, n), said another way than the module says it."""
    count = len(photos.sha256s)
    links = np.zeros((count, count), np.bool_)
    for one in range(count):
        for other in range(count):
            a, b = photos.phashes[one], photos.phashes[other]
            has_both = a is not None and b is not None and min((a % 2**64).bit_count(), (b % 2**64).bit_count()) >= 8
            links[one, other] = photos.sha256s[one] == photos.sha256s[other]
            links[one, other] |= has_both and ((a or 0) % 2**64 ^ (b or 0) % 2**64).bit_count() <= 8
            if photos.groups:
                links[one, other] |= photos.groups[one] is not None and photos.groups[one] == photos.groups[other]
            if photos.vectors is not None:
                u, v = (np.sqrt(photos.vectors[row].astype(float)) for row in (one, other))
                links[one, other] |= 1 - u @ v / np.linalg.norm(u) / np.linalg.norm(v) <= alike
    return links


def astride(links: np.ndarray, subsets: Sequence[str]) -> bool:
    names = np.array(subsets)
    return bool(links[np.ix_(names == "training", names == "holdout")].any())


@st.composite
def chains(draw: st.DrawFn) -> Fingerprints:
    """Photos along a few chains: neighbours are alike by hash, by features, or as files; the ends of a chain are not."""
    count = draw(st.integers(2, 14))
    chance = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    # steps of 6 of 32 ones; angles of which one step is alike and two are not
    hashes = [draw(st.none() | st.integers(0, 4).map(lambda k: (FULL << 3 * k) % 2**64 - 2**63)) for _ in range(count)]
    starts = chance.exponential(size=(3, CHANNELS))
    other = chance.exponential(size=(3, CHANNELS))
    vectors = np.stack(
        [
            (np.cos(angle) * starts[kind] + np.sin(angle) * other[kind])
            for kind, angle in zip(chance.randint(0, 3, count), chance.randint(0, 6, count) * 0.03, strict=True)
        ]
    )
    files = [sha(draw(st.integers(0, 10**6))) for _ in range(count)]
    groups = [draw(st.none() | st.integers(1, 3)) for _ in range(count)] if draw(st.booleans()) else ()
    return Fingerprints(files, hashes, vectors if draw(st.booleans()) else None, groups)


@given(photos=chains(), data=st.data())
@settings(deadline=None, max_examples=150)
def test_no_two_photos_that_are_alike_are_astride(photos: Fingerprints, data: st.DataObject) -> None:
    """In any order, decided at once or a few at a time; the same order decides the same."""
    count = len(photos.sha256s)
    photos = part(photos, data.draw(st.permutations(range(count))))
    alike = ALIKE_DISTANCE["file"]
    links = linked(photos, alike)
    near = np.zeros(1) if photos.vectors is None else _margins(photos.vectors, alike)
    if near.min(initial=1.0) < 1e-6 and photos.vectors is not None:
        return  # on the line: float32 may see it otherwise than float64

    at_once = assign(photos, part(photos, []), [], alike=alike)

    assert not astride(links, at_once)
    first = data.draw(st.integers(0, count))
    begun = assign(part(photos, range(first)), part(photos, []), [], alike=alike)
    ended = assign(part(photos, range(first, count)), part(photos, range(first)), begun, alike=alike)
    assert begun + ended == at_once


def _margins(vectors: np.ndarray, alike: float) -> np.ndarray:
    roots = np.sqrt(vectors)
    units = roots / np.linalg.norm(roots, axis=1, keepdims=True)
    return np.abs(1 - units @ units.T - alike)


def test_photos_that_are_like_none_are_drawn_one_in_five() -> None:
    """By their content: the same whatever came before, and independent of the digits others draw by."""
    photos = unlike(3000)

    subsets = assign(photos, part(photos, []), [])

    assert subsets == [drawn(sha256) for sha256 in photos.sha256s]
    assert subsets.count("holdout") / 3000 == pytest.approx(HOLDOUT_SHARE, abs=0.03)
    assert part(photos, []).sha256s == []
    assert assign(part(photos, []), photos, subsets) == []


@pytest.mark.parametrize("subset", ["training", "holdout", "neither"])
@pytest.mark.parametrize("by", ["file", "hash", "group", "features"])
def test_a_photo_takes_the_subset_of_those_it_is_linked_to(subset: str, by: str) -> None:
    """Whatever it would draw by itself."""
    decided = unlike(20)
    decided = Fingerprints(decided.sha256s, decided.phashes, decided.vectors, [None, 3] * 3 + [None, 7] + [None] * 12)
    for number in range(100, 120):
        vectors = np.random.RandomState(number).exponential(size=(1, CHANNELS))
        new = Fingerprints([sha(number)], [None], vectors)
        if by == "file":
            new = Fingerprints([decided.sha256s[7]], [None], vectors)
        elif by == "hash":
            new = Fingerprints(new.sha256s, [(decided.phashes[7] or 0) ^ 0xFF], vectors)
        elif by == "group":
            new = Fingerprints(new.sha256s, [None], vectors, [7])
        else:
            assert decided.vectors is not None
            new = Fingerprints(new.sha256s, [None], decided.vectors[7:8] * 1.7)
        assert assign(new, decided, ["training"] * 7 + [subset] + ["holdout"] * 12) == [subset]


def test_a_photo_between_both_is_used_by_neither() -> None:
    """And so is one that is linked to it and to one side: it is near the other."""
    first, between, last = FULL, FULL ^ 0xFF, FULL ^ 0xFFFF
    decided = Fingerprints([sha(0), sha(1)], [first, last], None)

    subsets = assign(Fingerprints([sha(2)], [between], None), decided, ["training", "holdout"])

    assert subsets == ["neither"]
    three = Fingerprints([sha(0), sha(1), sha(2)], [first, last, between], None)
    beside = Fingerprints([sha(3)], [first ^ 0x0F], None)
    assert assign(beside, three, ["training", "holdout", "neither"]) == ["neither"]


@pytest.mark.parametrize(
    ("other_side", "decided"), [("holdout", "neither"), ("neither", "neither"), (None, "training")]
)
def test_pictures_are_looked_at_until_both_sides_are_known(other_side: str | None, decided: str) -> None:
    """Twenty photos of training come nearer than the one of the other side; one look at them is enough."""
    asked: list[int] = []

    def are_one(row: int, other: int) -> bool:
        asked.append(row)
        assert other == 21
        return row != 20 or other_side is not None

    near = [FULL ^ 0xFFF] * 20 + [FULL ^ 0xFFFF]  # 12 bits, and 16
    photos = Fingerprints([sha(number) for number in range(21)], near, None)
    new = Fingerprints([sha(21)], [FULL], None)

    found = assign(new, photos, ["training"] * 20 + [other_side or "holdout"], are_one=are_one)

    assert found == [decided]
    assert asked == [0, 20]


def test_plain_pictures_and_missing_fingerprints_link_nothing() -> None:
    """Hashes of one colour are all alike, and photos without features are like nobody."""
    plain = Fingerprints([sha(n) for n in range(200)], [n % 3 for n in range(200)], np.full((200, CHANNELS), np.nan))
    bare = Fingerprints(plain.sha256s, [None] * 200, None)

    for photos in (plain, bare):
        assert assign(photos, part(photos, []), []) == [drawn(sha256) for sha256 in photos.sha256s]


def test_colours_alone_link_nothing() -> None:
    """The tiny backbone has 8 channels; and whoever passes no distance wants no features."""
    chance = np.random.RandomState(0)
    few = np.tile(chance.exponential(size=8), (200, 1))
    many = np.tile(chance.exponential(size=CHANNELS), (200, 1))
    names = [sha(n) for n in range(200)]
    tiny = BackboneCard(architecture="tiny", weights="none", weights_sha256=None, layer="pool")
    none = Fingerprints([], [], None)

    assert alike_distance(tiny) is None
    assert len(set(assign(Fingerprints(names, [None] * 200, few), none, []))) == 2
    assert len(set(assign(Fingerprints(names, [None] * 200, many), none, [], alike=None))) == 2
    assert len(set(assign(Fingerprints(names, [None] * 200, many), none, []))) == 1


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos compared three at a time are decided as those compared at once."""
    shifts = np.random.RandomState(2).randint(0, 32, 100)  # two photos are alike up to a difference of four
    hashes = [(FULL << int(shift)) - 2**63 for shift in shifts]
    rounds = [Fingerprints([sha(n) for n in range(start, start + 100)], hashes, None) for start in range(0, 2000, 100)]
    at_once = [assign(photos, part(photos, []), []) for photos in rounds]
    assert {subset for subsets in at_once for subset in subsets} == {"training", "holdout", "neither"}

    monkeypatch.setattr("training.holdout.BLOCK", 3)

    assert [assign(photos, part(photos, []), []) for photos in rounds] == at_once


def test_it_tells_of_each_photo_and_can_be_ended() -> None:
    """What has been decided is not asked of again; whoever is told may raise."""
    photos = unlike(50)
    told: list[int] = []

    def end() -> None:
        told.append(1)
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        assign(part(photos, range(20, 50)), part(photos, range(20)), ["training"] * 20, on_photo=end)
    assert len(told) == 3
    told.clear()
    assign(part(photos, range(20, 22)), part(photos, range(20)), ["training"] * 20, on_photo=end)
    assert len(told) == 2


def test_twenty_thousand_photos_are_compared_in_seconds() -> None:
    """A thousand new ones against them; a minute is for a machine that is busy."""
    chance = np.random.RandomState(0)
    decided = Fingerprints(
        [sha(n) for n in range(20_000)],
        chance.randint(-(2**63), 2**63 - 1, 20_000, dtype=np.int64).tolist(),
        chance.exponential(size=(20_000, 512)).astype(np.float16),
    )
    new = part(unlike(1000), range(1000))
    new = Fingerprints([sha(n) for n in range(20_000, 21_000)], new.phashes, chance.exponential(size=(1000, 512)))
    began = time.monotonic()

    assign(new, decided, ["training"] * 20_000)

    assert time.monotonic() - began < 60


def test_copies_of_generated_pictures_follow_their_original() -> None:
    """Saved again in another format, quality or size, and sent again under another name: by the hash alone."""
    kinds = [("JPEG", 95, 1.0), ("JPEG", 40, 1.0), ("WEBP", 60, 0.5), ("JPEG", 85, 1.5), ("JPEG", 95, 1.0)]
    files: list[bytes] = []
    for number in range(24):
        picture = scene(number)
        for file_format, quality, size in kinds:
            resized = picture.resize((round(picture.width * size), round(picture.height * size)))
            files.append(encoded(resized, file_format, quality=quality))
    order = np.random.RandomState(1).permutation(len(files))
    hashes = [decode(files[row], Limits(), previews=()).facts.phash for row in order]
    names = [hashlib.sha256(files[row]).hexdigest() for row in order]

    subsets = np.empty(len(files), object)
    subsets[order] = assign(Fingerprints(names, hashes, None), Fingerprints([], [], None), [])

    for of_picture in subsets.reshape(24, len(kinds)):
        assert len(set(of_picture)) == 1
    assert set(subsets) == {"training", "holdout"}


@pytest.mark.network
def test_changed_copies_of_real_photos_are_never_astride(shared: Path) -> None:
    """Saved again, renamed, cropped by up to 10 %, the next shot of a burst, sent again: with a network that has learnt."""
    known = np.load(shared / "weights" / "vgg16_blocks1-3_imagenet.npz")
    weights = [
        (known[f"{name}_kernel"].astype(np.float32), known[f"{name}_bias"].astype(np.float32))
        if f"{name}_kernel" in known
        else layer
        for name, layer in zip(CONVOLUTIONS, seeded_weights(), strict=True)
    ]
    paths = [sorted(place.glob("*.jpg"))[3] for place in sorted((shared / "photos" / "landmarks" / "train").iterdir())]
    files: list[bytes] = []
    for path in paths:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        picture.thumbnail((1024, 1024))
        files.append(path.read_bytes())
        files += [encoded(change(picture), "JPEG", quality=80) for change in CHANGES.values()]
        files.append(path.read_bytes())
    decoded = [decode(data, Limits(), previews=()) for data in files]
    features = Vgg16Backbone(weights, "x", chunk_size=6).features(np.stack([one.pixels for one in decoded]))
    photos = Fingerprints(
        [hashlib.sha256(data).hexdigest() for data in files], [one.facts.phash for one in decoded], pooled(features)
    )

    for seed in range(20):  # whichever comes first
        order = np.random.RandomState(seed).permutation(len(files))
        subsets = np.empty(len(files), object)
        subsets[order] = assign(part(photos, order.tolist()), part(photos, []), [], alike=ALIKE_DISTANCE["file"])
        for of_photo in subsets.reshape(len(paths), -1):
            assert {"training", "holdout"} - set(of_photo), f"astride in order {seed}"
