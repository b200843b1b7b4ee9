"""Which batch goes first: a person waits for a single photo, nobody sits beside a folder, a re-tag lets all others pass."""

SINGLE_PHOTO, SMALL_BATCH, FOLDER, RETAG = 0, 2, 5, 8
SMALL_BATCH_FILES = 50


def priority_of(count: int) -> int:
    """The priority of a batch of `count` files; less goes first."""
    if count == 1:
        return SINGLE_PHOTO
    return SMALL_BATCH if count <= SMALL_BATCH_FILES else FOLDER
