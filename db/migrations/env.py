"""Run by Alembic for every command; `db.migrate` hands over the connection."""

from alembic import context

from db.schema import Photo

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Photo.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
    transactional_ddl=True,  # also SQLite: our BEGIN IMMEDIATE covers DDL, so a killed upgrade leaves no half tables
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
