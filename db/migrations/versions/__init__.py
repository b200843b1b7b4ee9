"""One file per change of the tables. Revisions never import `db.schema`: they must not change with it."""
