"""Duplicates as the JSON routes and `phototag duplicates --json` answer them."""

from db.duplicates import Group, LookAlike
from db.same_files import SameFile
from ui.shapes import Json


def group_shape(group: Group) -> Json:
    """A group; the photo that is suggested to be kept is the first."""
    return {
        "id": group.group_id,
        "size": group.size,
        "reason": group.reason,
        "photos": [_photo(photo) for photo in group.photos],
    }


def same_file_shape(photo: SameFile) -> Json:
    """A photo with the files that it is."""
    return {
        "id": photo.photo_id,
        "name": photo.name,
        "size_bytes": photo.size_bytes,
        "has_previews": photo.has_previews,
        "count": photo.count,
        "places": [place._asdict() for place in photo.places],
    }


def _photo(photo: LookAlike) -> Json:
    return {
        "id": photo.photo_id,
        "name": photo.name,
        "size_bytes": photo.size_bytes,
        "width": photo.width,
        "height": photo.height,
        "format": photo.format,
        "dated_at": photo.dated_at.isoformat(sep=" ", timespec="seconds"),
        "taken_at": photo.taken_at.isoformat(sep=" ", timespec="seconds") if photo.taken_at else None,
        "camera": photo.camera,
        "shown": photo.shown,
        "not_sure": photo.not_sure,
        "has_previews": photo.has_previews,
        "places": photo.places,
    }
