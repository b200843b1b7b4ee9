"""Cards of the review page: what models and people say of photos, in a handful of queries."""

from sqlalchemy import event, select, update

from db.labels import ensure_labels
from db.model_versions import activate, version_label_ids
from db.review_cards import PersonSaid, review_cards
from db.schema import Label, Review
from db.session import Database
from tests.library_rows import add_user
from tests.review_rows import new_photos, say, tag, tagged_photos
from tests.store import add_version


def test_a_card_tells_what_models_and_people_said(database: Database) -> None:
    """The version that is shown with its top five; all of them where their first labels differ."""
    with database.transaction() as session:
        old, new = add_version(session, "old"), add_version(session, "new", active=False)
        cat, dog, *_ = version_label_ids(session, old)
        (photo_id,) = tagged_photos(session, old, 1, score=0.4)
        tag(session, photo_id, new, [(dog, 0.75), (cat, 0.25)])

        (card,) = review_cards(session, [photo_id])

        assert (card.photo_id, card.name, card.shown, card.origin, card.not_sure) == (
            photo_id,
            "0.jpg",
            "cat",
            "model",
            True,
        )
        assert (card.version, card.margin, card.seen, card.said) == ("old", 0.2, 0, None)
        assert [(one.name, round(one.score, 3)) for one in card.top] == [
            ("cat", 0.4),
            ("dog", 0.2),
            ("car", 0.133),
            ("tree", 0.1),
            ("cup", 0.08),
        ]
        assert [(version, [one.name for one in top[:2]]) for version, top in card.versions] == [
            ("new", ["dog", "cat"]),
            ("old", ["cat", "dog"]),
        ]

        activate(session, new, old, "better")
        tag(session, photo_id, new, [(dog, 0.75), (cat, 0.25)])
        say(session, add_user(session, "ann", "reviewer"), [photo_id], label_id=cat)
        (card,) = review_cards(session, [photo_id])

        assert (card.shown, card.origin, card.margin, card.version) == ("cat", "person", None, "new")
        assert card.seen == session.scalars(select(Review.id)).one()
        assert card.said == PersonSaid("correct", "cat", "ann")


def test_merged_labels_are_one_on_a_card(database: Database) -> None:
    """Under the name of the target; the better score stays, and versions do not disagree about it."""
    with database.transaction() as session:
        old, new = add_version(session, "old"), add_version(session, "new", active=False)
        cat, dog, *_ = version_label_ids(session, old)
        (photo_id,) = tagged_photos(session, old, 1)
        tag(session, photo_id, new, [(dog, 0.75)])
        animal = ensure_labels(session, [["animal"]])[0]
        session.execute(update(Label).where(Label.id.in_([cat, dog])).values(merged_into_id=animal))

        (card,) = review_cards(session, [photo_id])

        assert [(one.name, round(one.score, 3)) for one in card.top] == [
            ("animal", 0.9),
            ("car", 0.3),
            ("tree", 0.225),
            ("cup", 0.18),
        ]
        assert card.versions == []


def test_cards_of_a_page_come_in_order_by_few_queries(database: Database) -> None:
    """Photos that are gone are left out; so are models where none has spoken."""
    with database.transaction() as session:
        photo_ids = [*tagged_photos(session, add_version(session), 59), *new_photos(session, 1)][::-1]
        statements: list[str] = []
        event.listen(session.connection(), "before_cursor_execute", lambda *args: statements.append(args[2]))

        cards = review_cards(session, [*photo_ids, 987_654])

        assert [card.photo_id for card in cards] == photo_ids
        assert (cards[0].top, cards[0].version, cards[0].shown) == ([], None, None)
        assert len(statements) == 3
