"""The codes a photo, an archive or a batch can end with, and what they mean in plain words."""

# Shown after "This photo was refused: " on pages, in results files and by the CLI.
REASONS: dict[str, str] = {
    # the file itself (refused: trying again gives the same)
    "EMPTY": "the file is empty",
    "NOT_AN_IMAGE": "the content is not a photo, whatever its name says",
    "UNSUPPORTED": "this kind of file is not supported (see the list of formats)",
    "UNREADABLE": "the file is damaged or cut off",
    "TOO_BIG": "the file is larger than the limit for one photo",
    "TOO_MANY_PIXELS": "the picture has more pixels than the limit",
    "TOO_COMPLEX": "decoding it would take unreasonably long",
    "DECODER_LIMIT": "decoding it took more time or memory than allowed",
    "PHOTO_DELETED": "the photo was deleted before it was re-tagged",
    "SKIPPED_JUNK": "a file of the system or a sidecar, not a photo",
    # an entry of an archive, or a path of a folder
    "ENCRYPTED": "the entry is encrypted; unpack it with its password first",
    "NOT_A_FILE": "a link or a special file, not a photo",
    "BAD_NAME": "the name cannot be represented",
    "ENTRY_BROKEN": "the entry is damaged inside the archive",
    "BOMB": "the entry unpacks to far more than it should",
    "UNSUPPORTED_COMPRESSION": "the entry uses a compression that is not supported",
    "NOT_READABLE": "the file or folder may not be read; check its permissions",
    # an archive as a whole
    "ARCHIVE_EMPTY": "the archive holds no files",
    "ARCHIVE_BROKEN": "the archive is damaged or cut off; pack it again",
    "ARCHIVE_BOMB": "the archive unpacks to far more than it should",
    "ARCHIVE_TOO_BIG": "the archive is larger than the limit",
    "ARCHIVE_ENCRYPTED": "the archive is encrypted; unpack it with its password first",
    "TOO_MANY_ENTRIES": "the archive has more entries than the limit; split it",
    "NOT_AN_ARCHIVE": "the file is not a .zip or .tar archive",
    "BATCH_EMPTY": "no photo and no archive was sent",
    # our side (failed: trying again may help)
    "WORKER_LOST": "the worker died three times on this photo alone",
    "MODEL_ERROR": "the network failed on this photo",
    "SOURCE_GONE": "the file was moved or deleted after it was accepted",
    "SOURCE_CHANGED": "the file changed after it was accepted; submit it again",
    "BLOB_MISSING": "the stored bytes are missing; submit the photo again",
}

# A system file or sidecar is counted apart: it is not a photo that anyone misses.
JUNK = "SKIPPED_JUNK"

# Codes of our side. Everything else in REASONS is a verdict about the file.
FAILED = frozenset({"WORKER_LOST", "MODEL_ERROR", "SOURCE_GONE", "SOURCE_CHANGED", "BLOB_MISSING"})


def reason_text(code: str | None, detail: str | None = None) -> str:
    """The sentence shown for `code`, with `detail` in brackets when there is one."""
    if code is None:
        return ""
    text = REASONS.get(code, code)
    return f"{text} ({detail})" if detail else text
