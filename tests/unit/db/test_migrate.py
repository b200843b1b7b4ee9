"""Migrations: up, down and up again, the same tables as the models, and a refusal of what this code does not know."""

import multiprocessing
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text

from db.errors import SchemaMismatchError
from db.migrate import current_revision, downgrade, head_revision, require_current, upgrade
from db.names import words_of
from db.schema import Photo, PhotoWord
from db.session import Database


def test_up_down_and_up_again_leaves_the_newest_tables(empty_database: Database) -> None:
    """Every revision can be taken back and made again."""
    upgrade(empty_database)
    downgrade(empty_database, "base")
    assert tables_of(empty_database) <= {"alembic_version"}

    upgrade(empty_database)

    assert current_revision(empty_database) == head_revision()
    require_current(empty_database)


def test_migrations_make_what_the_models_say(empty_database: Database) -> None:
    """`alembic check` finds nothing to do."""
    upgrade(empty_database)

    with empty_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Photo.metadata) == []


def test_migrations_make_the_same_checks_and_partial_indexes(empty_database: Database) -> None:
    """What `alembic check` does not compare: conditions of checks and indexes, deletes that cascade."""
    upgrade(empty_database)
    with empty_database.engine.connect() as connection:
        migrated = described(connection)
    downgrade(empty_database, "base")

    with empty_database.engine.begin() as connection:
        Photo.metadata.create_all(connection)
        assert described(connection) == migrated


def test_a_database_of_a_newer_phototag_is_refused(database: Database) -> None:
    """Neither used nor migrated; the message says what to do."""
    set_revision(database, "9999")

    with pytest.raises(SchemaMismatchError, match="update phototag"):
        require_current(database)
    with pytest.raises(SchemaMismatchError, match="update phototag"):
        upgrade(database)

    assert current_revision(database) == "9999"


def test_a_database_without_tables_is_to_be_migrated(empty_database: Database) -> None:
    """The message names the command."""
    with pytest.raises(SchemaMismatchError, match="phototag migrate"):
        require_current(empty_database)


def test_several_processes_may_migrate_at_once(empty_database: Database) -> None:
    """Three that start together: one migrates, the others wait and find it done."""
    processes = multiprocessing.get_context("spawn")
    starters = [processes.Process(target=upgrade_url, args=(empty_database.url,)) for _ in range(3)]

    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(60)

    assert [starter.exitcode for starter in starters] == [0, 0, 0]
    require_current(empty_database)


def test_a_migration_that_fails_changes_nothing(empty_database: Database) -> None:
    """A table that is in the way, of another program: the tables made before it are gone as well."""
    with empty_database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE uploads (id INTEGER)"))

    with pytest.raises(Exception, match="uploads"):
        upgrade(empty_database)

    assert tables_of(empty_database) == {"uploads"}


def test_photos_of_an_older_release_are_found_after_the_migration(empty_database: Database) -> None:
    """Names, words, dates and states are filled in from what was known."""
    upgrade(empty_database)
    downgrade(empty_database, "0001")
    old = """
        INSERT INTO users (id, name, role, created_at) VALUES (1, 'local', 'admin', '2026-01-01 00:00:00');
        INSERT INTO labels (id, name, name_key, created_at) VALUES (1, 'sea', 'sea', '2026-01-01 00:00:00');
        INSERT INTO batches (id, owner_id, name, state, priority, created_at)
            VALUES ('abcdefghjkmn', 1, 'old', 'finished', 5, '2026-01-01 00:00:00');
        INSERT INTO photos (id, sha256, size_bytes, created_at, taken_at, has_previews, shown_label_id, not_sure)
            VALUES (1, 'a', 1, '2026-01-02 00:00:00', '2019-08-12 18:30:05', true, 1, false),
                   (2, 'b', 1, '2026-01-03 00:00:00', NULL, false, NULL, false);
        INSERT INTO items (batch_id, archive_number, position, path, photo_id, state, priority, suspect, strikes, attempt,
            not_before) VALUES ('abcdefghjkmn', 0, 1, 'Iceland/IMG_1 Sea.JPG', 1, 'tagged', 5, false, 0, 1, 0),
                               ('abcdefghjkmn', 0, 2, 'bad.jpg', 2, 'refused', 5, false, 0, 1, 0)
    """
    with empty_database.engine.begin() as connection:
        for statement in old.split(";"):
            connection.execute(text(statement))

    upgrade(empty_database)

    with empty_database.reading() as session:
        photos = session.scalars(select(Photo).order_by(Photo.id)).all()
        assert [(photo.name, photo.name_key, photo.state) for photo in photos] == [
            ("IMG_1 Sea.JPG", "img_1 sea.jpg", "tagged"),
            ("bad.jpg", "bad.jpg", "refused"),
        ]
        assert [photo.dated_at.isoformat() for photo in photos] == ["2019-08-12T18:30:05", "2026-01-03T00:00:00"]
        words = session.execute(select(PhotoWord.photo_id, PhotoWord.word).order_by(PhotoWord.photo_id, PhotoWord.word))
        assert [tuple(row) for row in words] == [
            *[(1, word) for word in words_of("IMG_1 Sea.JPG")],
            *[(2, word) for word in words_of("bad.jpg")],
        ]


def test_words_and_names_sort_by_their_bytes_on_postgres(postgres_database: Database) -> None:
    """Whatever the language of the server: in another order, words that begin alike are no range of an index."""
    query = (
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE collation_name = 'C' AND table_schema = 'public' ORDER BY 1"
    )

    with postgres_database.engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(text(query))] == [
            ("photo_words", "word"),
            ("photos", "name_key"),
        ]


def upgrade_url(url: str) -> None:
    """In another process."""
    upgrade(Database(url))


def set_revision(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def tables_of(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(inspect(connection).get_table_names()) - {"sqlite_sequence"}


def described(connection: Connection) -> dict[str, Any]:
    """All that the database says about its tables, but for the order."""
    inspector = inspect(connection)
    return {
        table: {
            "row ids": row_ids_of(connection, table),
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "references": sorted(map(str, inspector.get_foreign_keys(table))),
            "checks": sorted(str(check["sqltext"]) for check in inspector.get_check_constraints(table)),
            "indexes": sorted(
                str(
                    {
                        **index,
                        "dialect_options": {key: str(value) for key, value in index.get("dialect_options", {}).items()},
                    }
                )
                for index in inspector.get_indexes(table)
            ),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def row_ids_of(connection: Connection, table: str) -> list[str]:
    """What SQLite says of a table's row ids, and SQLAlchemy does not tell."""
    if connection.dialect.name != "sqlite":
        return []
    query = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    made = connection.execute(query, {"name": table}).scalar_one()
    return [words for words in ("AUTOINCREMENT", "WITHOUT ROWID") if words in made]
