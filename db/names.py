"""Names of files as people send them: made harmless to show, and what they say of the content."""

import re
import unicodedata

from db.errors import InvalidNameError, Refusal

# A path is stored in 1,024 characters; of a longer one the end is kept, which names the file.
MAX_PATH_CHARS = 1000
MAX_PART_CHARS = 255
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
UNNAMED = "unnamed"
ZERO_WIDTH_JOINER = "\u200d"
MAX_PERSON_CHARS = 64
# Folding makes one letter three at most.
MAX_PERSON_KEY_CHARS = 3 * MAX_PERSON_CHARS

photo_suffixes = frozenset(
    (
        ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .bmp .dib .tif .tiff "
        ".heic .heics .heif .heifs .hif .avif .avifs"
    ).split()
)
"""Suffixes of the formats that are decoded, lower case, with the dot. Content decides; this is for choosing files."""

_archive_suffixes = {
    ".zip": "zip",
    ".tar": "tar",
    ".tgz": "tar.gz",
    ".tar.gz": "tar.gz",
    ".tbz2": "tar.bz2",
    ".tbz": "tar.bz2",
    ".tar.bz2": "tar.bz2",
    ".txz": "tar.xz",
    ".tar.xz": "tar.xz",
    ".tzst": "tar.zst",
    ".tar.zst": "tar.zst",
    ".7z": "other",
    ".rar": "other",
}
# Formats that are ZIP files inside and that nobody means as an archive of photos.
_zip_documents = frozenset(
    ".docx .xlsx .pptx .odt .ods .odp .epub .jar .apk .whl .kmz .pages .numbers .key .kra .ora .cbz".split()
)
_archive_magic = (
    (b"PK\3\4", "zip"),
    (b"PK\5\6", "zip"),
    (b"PK\7\b", "zip"),
    (b"\x1f\x8b", "tar.gz"),
    (b"BZh", "tar.bz2"),
    (b"\xfd7zXZ\0", "tar.xz"),
    (b"\x28\xb5\x2f\xfd", "tar.zst"),
    (b"7z\xbc\xaf\x27\x1c", "other"),
    (b"Rar!\x1a\x07", "other"),
)
TAR_BLOCK = 512

# Folders and files that systems and photo programs leave behind.
_junk_folders = frozenset(
    (
        "__macosx .git .svn @eadir .@__thumb .thumbnails .trashes .spotlight-v100 .fseventsd .picasaoriginals "
        "$recycle.bin lost+found"
    ).split()
) | {"system volume information"}
_junk_files = frozenset(
    (
        ".ds_store thumbs.db ehthumbs.db desktop.ini .picasa.ini picasa.ini .nomedia .directory zbthumbnail.info "
        "folder.ini autorun.inf .localized"
    ).split()
)
_sidecar_suffixes = (".xmp", ".aae", ".thm", ".pp3", ".dop", ".on1", ".cos", ".nksc")
# Google Takeout: IMG_1.jpg.json, IMG_1.jpg.supplemental-metadata.json (cut at 51 characters), metadata.json
_takeout = re.compile(r"(\.[a-z0-9]{2,5}(\.su[a-z-]*)?(\(\d+\))?|^metadata(\(\d+\))?)\.json$")
_drive = re.compile(r"^[A-Za-z]:")
# Of a file name: enough to find it by, short enough for an index.
MAX_WORDS, MAX_WORD_CHARS = 12, 40
_word = re.compile(r"[^\W_]+")


def clean_name(raw: str) -> tuple[str, bool]:
    """Makes a path of an archive, a folder or a browser harmless to store and to show.

    Separators become "/", "." and ".." and drives are dropped, characters that steer terminals or
    turn the direction of text are replaced, and the length is bounded. It is only ever shown: no file
    is opened by it.

    Returns:
        The path, and whether it had tried to point outside its place.

    Raises:
        Refusal: BAD_NAME, when it holds a NUL.
    """
    if "\0" in raw:
        raise Refusal("BAD_NAME", "it contains a NUL character")
    name = unicodedata.normalize("NFC", raw.replace("\\", "/"))
    outside = name.startswith("/") or bool(_drive.match(name))
    parts = [part.strip() for part in _drive.sub("", name).split("/")]
    outside = outside or ".." in parts
    shown = [_shown(part) for part in parts if part not in ("", ".", "..")]
    path = "/".join(shown)
    if len(path) > MAX_PATH_CHARS:
        path = "…" + path[-(MAX_PATH_CHARS - 1) :]
    return path or UNNAMED, outside


def file_name(path: str) -> str:
    """The last part of a path that `clean_name` has made: at most 255 characters."""
    return path.rpartition("/")[2][-MAX_PART_CHARS:]


def file_name_key(name: str) -> str:
    """What a file name is sorted by: NFC, case folded, at most 255 characters."""
    return unicodedata.normalize("NFC", name.casefold())[:MAX_PART_CHARS]


def words_of(name: str) -> list[str]:
    """The words that a file name is found by, each once, in the order of the alphabet.

    "IMG_2041 Reykjavík.JPG" has img, 2041, reykjavík and jpg. Of a long name the first dozen count.
    """
    found = [word[:MAX_WORD_CHARS] for word in _word.findall(file_name_key(name))]
    return sorted(set(found[:MAX_WORDS]))


def is_junk(path: str) -> bool:
    """Whether a path is a system file or a sidecar: nobody misses it among the photos."""
    *folders, name = path.lower().replace("\\", "/").split("/")
    if any(folder in _junk_folders for folder in folders):
        return True
    if name in _junk_files or name.startswith("._"):
        return True
    return name.endswith(_sidecar_suffixes) or bool(_takeout.search(name))


def archive_kind(head: bytes, name: str) -> str | None:
    """What kind of archive a file is, by content first, then by suffix.

    Args:
        head: its first 512 bytes, or all of it if it is shorter.
        name: its name or path.

    Returns:
        "zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "other" (an archive that cannot be read,
        .7z or .rar), or None for anything else, such as a photo.
    """
    lower = name.lower()
    by_content = next((kind for magic, kind in _archive_magic if head.startswith(magic)), None)
    if by_content == "zip" and _suffix(lower) in _zip_documents:
        return None
    if by_content or is_tar_header(head):
        return by_content or "tar"
    if _is_known_photo(head):
        return None
    return next((kind for suffix, kind in _archive_suffixes.items() if lower.endswith(suffix)), None)


def is_tar_header(block: bytes) -> bool:
    """Whether 512 bytes are the header of a tar member: the checksum is right."""
    if len(block) < TAR_BLOCK or not block[0]:
        return False
    try:
        expected = int(block[148:156].strip(b"\0 ") or b"0", 8)
    except ValueError:
        return False
    return expected == sum(block[:148]) + sum(block[156:TAR_BLOCK]) + 8 * ord(" ")


def clean_text(raw: str, max_chars: int) -> str:
    """A line of text from a file's metadata, harmless to show: on one line, without what steers terminals or text.

    Unlike in a name, nothing marks where something was left out: metadata is full of padding.
    """
    kept = "".join(c for c in unicodedata.normalize("NFC", raw) if c.isspace() or not _is_unprintable(c))
    return " ".join(kept.split())[:max_chars].rstrip()


def person_name(raw: str) -> str:
    """A person's name as it is stored: NFC, without outer or doubled spaces.

    Raises:
        InvalidNameError: nothing is left, more than 64 characters are, or some of them cannot be seen.
    """
    name = " ".join(part for part in unicodedata.normalize("NFC", raw).split(" ") if part)
    # the joiner is not seen either: two names that look the same must be the same
    visible = all(c != ZERO_WIDTH_JOINER and not _is_unprintable(c) for c in name)
    if not visible or not 1 <= len(name) <= MAX_PERSON_CHARS:
        msg = f"A person's name has 1 to {MAX_PERSON_CHARS} visible characters. Choose another. Received: {raw[:80]!r}"
        raise InvalidNameError(msg)
    return name


def person_key(name: str) -> str:
    """What the spellings of one person's name have in common; unique in the table. Takes anything, for looking up."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    visible = "".join(c for c in folded if c.isspace() or not _is_unprintable(c))
    return " ".join(visible.split())[:MAX_PERSON_KEY_CHARS]


def _shown(part: str) -> str:
    """`part` without control, format (bidi), surrogate and private characters, bounded, its suffix kept."""
    clean = "".join(REPLACEMENT if _is_unprintable(c) else c for c in part)
    if len(clean) <= MAX_PART_CHARS:
        return clean
    suffix = _suffix(clean)
    return clean[: MAX_PART_CHARS - 1 - len(suffix)] + "…" + suffix


def _is_unprintable(character: str) -> bool:
    # Zl and Zp are line and paragraph separators: they break lines as a newline does.
    # The zero-width joiner stays: it holds emoji together and steers nothing.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") and character != ZERO_WIDTH_JOINER


def _suffix(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:] if dot > 0 and len(name) - dot <= 16 else ""


def _is_known_photo(head: bytes) -> bool:
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")) or (
        head[4:8] == b"ftyp"
    )
