"""Labels that look wrong: found by heads that do not know the photo."""

import numpy as np
import pytest

from training.doubts import Doubts, LabelledPhotos, find_doubts


def test_labels_that_do_not_fit_are_found_and_hardly_any_other() -> None:
    """15 of 300 are wrong; the most doubtful first ones are among them."""
    photos, wrong = labelled(300, wrong=15)

    doubts = find_doubts(photos)

    found = {doubt.photo_id for doubt in doubts.found}
    assert doubts.missing == ""
    assert len(found & wrong) >= 12
    assert len(found - wrong) <= 6
    assert all(0.5 < doubt.urgency <= 1.0 for doubt in doubts.found if doubt.photo_id in wrong)
    assert find_doubts(photos) == doubts, "the same photos gave another answer"


def test_where_all_labels_fit_none_is_found() -> None:
    """Nobody is sent to look at what is right."""
    assert find_doubts(labelled(300, wrong=0)[0]) == Doubts([])


@pytest.mark.parametrize(("photos", "labels"), [(39, 3), (60, 1)])
def test_too_few_photos_or_labels_are_said_to_be_missing(photos: int, labels: int) -> None:
    """In words, with what there is."""
    few = labelled(photos, wrong=0, kinds=labels)[0]

    doubts = find_doubts(few)

    assert doubts.found == []
    assert f"{photos} photos, {labels} labels" in doubts.missing


def test_near_duplicates_do_not_vouch_for_each_other() -> None:
    """Ten shots of one wrongly labelled thing: a head that had seen nine of them would believe the tenth."""
    photos, _ = labelled(300, wrong=0)
    shots = np.arange(0, 50, 5)  # of the first kind
    photos.vectors[shots] = photos.vectors[0]
    photos.label_ids[shots] = 1002
    photos.groups[shots] = 1

    found = {doubt.photo_id for doubt in find_doubts(photos).found}

    assert found == set(photos.photo_ids[shots].tolist())
    photos.groups[shots] = photos.photo_ids[shots]
    assert {doubt.photo_id for doubt in find_doubts(photos).found} != found, "the groups made no difference"


def test_rare_labels_are_left_out() -> None:
    """Four photos, or many that are near-duplicates, tell no head what their label looks like."""
    photos, _ = labelled(200, wrong=0)
    photos.label_ids[[0, 5, 10, 15]] = 2000
    photos.label_ids[20:50:5] = 3000
    photos.groups[20:50:5] = 20

    assert find_doubts(photos) == Doubts([])


def test_it_ends_between_two_fits_when_it_is_told_to() -> None:
    """What was found by then is not the answer."""
    asked = iter([False, False, True])

    doubts = find_doubts(labelled(300, wrong=15)[0], lambda: next(asked, True))

    assert doubts.found == []
    assert "ended" in doubts.missing


def labelled(count: int, *, wrong: int, kinds: int = 5) -> tuple[LabelledPhotos, set[int]]:
    """Photos of some kinds, in turn, each kind with its label; ids of those that got another one."""
    rng = np.random.RandomState(4)
    kind = np.arange(count) % kinds
    vectors = np.maximum(rng.standard_normal((kinds, 32))[kind] + 0.6 * rng.standard_normal((count, 32)), 0.0)
    given = kind.copy()
    rows = rng.choice(count, wrong, replace=False)
    given[rows] = (given[rows] + rng.randint(1, max(kinds, 2), wrong)) % kinds
    ids = np.arange(1, count + 1)
    return LabelledPhotos(ids, 1000 + given, -ids, vectors.astype(np.float32)), set(ids[rows].tolist())
