"""Training: hold-out, snapshots, runs and their exams, activations, and what photos showed before a re-tag."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
SHA256 = "lower-case hex SHA-256"


def upgrade() -> None:
    """Makes the new tables and says of batches which of them re-tag."""
    op.add_column(
        "batches",
        sa.Column(
            "retag_version_id",
            ID,
            nullable=True,
            comment="a re-tag with this version, which is never deleted; null: photos that a person submitted",
        ),
    )
    again = "the photo that is tagged once more; the item does not keep it, so it may be gone"
    op.add_column("items", sa.Column("retag_photo_id", ID, nullable=True, comment=again))
    _say_of_items("null when refused before hashing", "null when refused before hashing, and in a re-tag")
    shown = ["shown_model_version_id", "id", "shown_origin", "shown_label_id"]
    op.create_index("ix_photos_shown_version", "photos", shown)
    _make_subsets()
    _make_runs()
    _make_activations()


def downgrade() -> None:
    """Takes all of it back; versions that were trained stay, and the one that is active. Re-tags go with their batches."""
    for table in (
        *("shown_before", "activations", "holdout_answers", "training_runs"),
        *("snapshot_photos", "snapshots", "photo_subsets"),
    ):
        op.drop_table(table)
    op.drop_index("ix_photos_shown_version", "photos")
    op.execute("DELETE FROM items WHERE retag_photo_id IS NOT NULL")
    op.execute("DELETE FROM batches WHERE retag_version_id IS NOT NULL")
    op.drop_column("items", "retag_photo_id")
    _say_of_items("null when refused before hashing, and in a re-tag", "null when refused before hashing")
    op.drop_column("batches", "retag_version_id")


def _say_of_items(before: str, after: str) -> None:
    """Only PostgreSQL keeps comments."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("items", "photo_id", existing_type=ID, comment=after, existing_comment=before)


def _make_subsets() -> None:
    op.create_table(
        "photo_subsets",
        sa.Column("photo_id", ID, autoincrement=False, nullable=False),
        sa.Column(
            "subset",
            sa.String(8),
            nullable=False,
            comment="neither: it looks like photos of both, so no model is trained or examined on it",
        ),
        sa.Column("decided_at", TIME, nullable=False),
        sa.CheckConstraint("subset IN ('training', 'holdout', 'neither')", name="ck_photo_subsets_subset"),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name="fk_photo_subsets_photo_id_photos", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("photo_id", name="pk_photo_subsets"),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment=SHA256),
        sa.Column(
            "photos",
            sa.Integer(),
            nullable=False,
            comment="when it was made; photos that were deleted since are left out",
        ),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.UniqueConstraint("digest", name="uq_snapshots_digest"),
    )
    op.create_table(
        "snapshot_photos",
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column("photo_id", ID, nullable=False),
        sa.Column("label_id", ID, nullable=False),
        sa.Column("subset", sa.String(8), nullable=False),
        sa.CheckConstraint("subset IN ('training', 'holdout')", name="ck_snapshot_photos_subset"),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name="fk_snapshot_photos_label_id_labels"),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name="fk_snapshot_photos_photo_id_photos", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name="fk_snapshot_photos_snapshot_id_snapshots", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "photo_id", name="pk_snapshot_photos"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_snapshot_photos_photo_id", "snapshot_photos", ["photo_id"])


def _make_runs() -> None:
    op.create_table(
        "training_runs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False, comment="all its values, as they were when it was asked for"),
        sa.Column(
            "activate", sa.String(8), nullable=False, comment="auto: if the gate says better; never: a person decides"
        ),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("idem_key", sa.String(64), nullable=True, comment="a repeat with this key is the same run"),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column(
            "stage",
            sa.String(16),
            nullable=False,
            comment="what it is at: features, snapshot, frozen, tuning, variants, head, exam",
        ),
        sa.Column("done", sa.Integer(), nullable=False, comment="of the stage, out of `total`"),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("curves", sa.JSON(), nullable=False, comment="one entry an epoch, as training.head_fit"),
        sa.Column("snapshot_id", ID, nullable=True),
        sa.Column(
            "base_version_id", ID, nullable=True, comment="the active version that the candidate was compared with"
        ),
        sa.Column("version_id", ID, nullable=True, comment="the candidate"),
        sa.Column("report", sa.JSON(), nullable=True, comment="both on the same hold-out"),
        sa.Column("gate", sa.String(12), nullable=True),
        sa.Column("gate_words", sa.JSON(), nullable=True, comment="its checks and reasons, for people"),
        sa.Column("outcome", sa.String(12), nullable=True, comment="what became of the candidate; null: open"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it failed, in plain words"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="raised by every claim; fences late finishers"),
        sa.Column("lease_owner", sa.String(80), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.CheckConstraint("gate IN ('better', 'not_better', 'thin')", name="ck_training_runs_gate"),
        sa.CheckConstraint("outcome IN ('activated', 'rejected')", name="ck_training_runs_outcome"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="ck_training_runs_state"
        ),
        sa.ForeignKeyConstraint(
            ["base_version_id"], ["model_versions.id"], name="fk_training_runs_base_version_id_model_versions"
        ),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name="fk_training_runs_snapshot_id_snapshots"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_training_runs_user_id_users"),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_versions.id"], name="fk_training_runs_version_id_model_versions"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_training_runs"),
        sa.UniqueConstraint("user_id", "idem_key", name="uq_training_runs_user_id_idem_key"),
    )
    op.create_index(
        "ix_training_runs_open",
        "training_runs",
        ["state", "id"],
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "holdout_answers",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("photo_id", ID, nullable=False),
        sa.Column("label_id", ID, nullable=False, comment="what people say"),
        sa.Column("candidate_label_id", ID, nullable=False),
        sa.Column("candidate_score", sa.Double(), nullable=False, comment="in [0, 1]"),
        sa.Column("base_label_id", ID, nullable=True),
        sa.Column("base_score", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name="fk_holdout_answers_photo_id_photos", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["training_runs.id"], name="fk_holdout_answers_run_id_training_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "photo_id", name="pk_holdout_answers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_holdout_answers_photo_id", "holdout_answers", ["photo_id"])


def _make_activations() -> None:
    op.create_table(
        "activations",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("before_id", ID, nullable=True),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("undoes_id", ID, nullable=True, comment="the activation that this one rolled back"),
        sa.ForeignKeyConstraint(["before_id"], ["model_versions.id"], name="fk_activations_before_id_model_versions"),
        sa.ForeignKeyConstraint(["undoes_id"], ["activations.id"], name="fk_activations_undoes_id_activations"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_activations_user_id_users"),
        sa.ForeignKeyConstraint(["version_id"], ["model_versions.id"], name="fk_activations_version_id_model_versions"),
        sa.PrimaryKeyConstraint("id", name="pk_activations"),
        sa.UniqueConstraint("undoes_id", name="uq_activations_undoes_id"),
    )
    op.create_table(
        "shown_before",
        sa.Column("activation_id", ID, nullable=False, comment="the one whose roll back shows it again"),
        sa.Column("photo_id", ID, nullable=False),
        sa.Column(
            "model_version_id",
            ID,
            nullable=False,
            comment="the one whose word it showed; versions are never deleted: no reference to check",
        ),
        sa.ForeignKeyConstraint(
            ["activation_id"], ["activations.id"], name="fk_shown_before_activation_id_activations"
        ),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name="fk_shown_before_photo_id_photos", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("activation_id", "photo_id", name="pk_shown_before"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shown_before_photo_id", "shown_before", ["photo_id"])
