"""The audit log."""

from db.audit import list_actions, list_audit, record_audit
from db.session import Database
from db.users import add_user, local_admin


def test_the_log_is_read_page_by_page_newest_first(database: Database) -> None:
    """Of everybody, of one person, of one action."""
    with database.transaction() as session:
        admin, ann = local_admin(session), add_user(session, "ann", "owner")
        for number in range(6):
            by = (admin, ann, None)[number % 3]
            record_audit(session, by, "batches.delete" if number % 2 else "login", f"no {number}", {"n": number})

    with database.reading() as session:
        first = list_audit(session, limit=4)
        rest = list_audit(session, before=first[-1].entry_id, limit=4)
        assert [row.subject for row in (*first, *rest)] == [f"no {number}" for number in range(5, -1, -1)]
        assert [row.user for row in first] == [None, "ann", "admin", None]
        assert first[0].details == {"n": 5}
        assert [row.subject for row in list_audit(session, user_id=ann.id)] == ["no 4", "no 1"]
        assert [row.subject for row in list_audit(session, action="login")] == ["no 4", "no 2", "no 0"]
        assert list_actions(session) == ["batches.delete", "login"]


def test_what_a_row_is_about_is_harmless_to_show(database: Database) -> None:
    """On one line, without what steers a terminal, cut."""
    with database.transaction() as session:
        record_audit(session, None, "login.locked", "a\nb\x1b[31m\u202e" + "x" * 500)

        (row,) = list_audit(session)
        assert row.subject.startswith("a b[31mx")
        assert len(row.subject) == 200
