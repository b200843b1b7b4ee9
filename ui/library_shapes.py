"""Photos of the library as the JSON routes answer them."""

from db.codes import reason_text
from db.library import PhotoTile
from db.photo_view import PhotoView, Place
from ui.shapes import Json

# The decoder's notes in plain words.
NOTES = {
    "FIRST_FRAME_ONLY": "only its first frame was looked at",
    "DEPTH_REDUCED": "its colours were reduced to 8 bits",
    "EXIF_IGNORED": "its EXIF could not be read",
    "ICC_IGNORED": "its colour profile could not be read",
}


def tile_shape(tile: PhotoTile) -> Json:
    """A photo as the grid shows it."""
    return {
        "id": tile.photo_id,
        "name": tile.name,
        "state": tile.state,
        "has_previews": tile.has_previews,
        "shown": tile.shown,
        "score": None if tile.shown_score is None else round(tile.shown_score, 4),
        "by_person": tile.shown_origin == "person",
        "not_sure": tile.not_sure,
        "dated_at": tile.dated_at.isoformat(sep=" ", timespec="seconds"),
        "cursor": tile.cursor.to_text(),
    }


def photo_shape(view: PhotoView) -> Json:
    """A photo with all that is known of it."""
    return {
        "id": view.photo_id,
        "name": view.name,
        "state": view.state,
        "has_previews": view.has_previews,
        "shown": view.shown,
        "score": None if view.shown_score is None else round(view.shown_score, 4),
        "by_person": view.shown_origin == "person",
        "not_sure": view.not_sure,
        "version": view.shown_version,
        "versions": [
            {"name": one.version, "labels": [[name, round(score, 4)] for name, score in one.labels]}
            for one in view.predictions
        ],
        "facts": _facts(view),
        "places": [_place(place) for place in view.places],
        "history": [{"at": event.moment.isoformat(), "what": event.what} for event in view.history],
        "look_alikes": view.look_alikes,
    }


def read_shape(view: PhotoView) -> Json:
    """What EXIF says of how the photo was taken, null where it says nothing, and the decoder's notes in words."""
    notes = (view.notes or "").split(",")
    return {name: view.exif.get(name) for name in ("lens", "exposure_s", "f_number", "iso", "focal_length_mm")} | {
        "notes": [NOTES.get(note, note) for note in notes if note]
    }


def _facts(view: PhotoView) -> Json:
    return {
        "format": view.format,
        "width": view.width,
        "height": view.height,
        "size_bytes": view.size_bytes,
        "sha256": view.sha256,
        "taken_at": view.taken_at.isoformat(sep=" ", timespec="seconds") if view.taken_at else None,
        "camera": view.camera,
        "coordinates": [view.latitude, view.longitude] if view.latitude is not None else None,
        **read_shape(view),
    }


def _place(place: Place) -> Json:
    return {
        "batch_id": place.batch_id,
        "batch": place.batch,
        "path": place.path,
        "archive": place.archive,
        "in_place": place.in_place,
        "gone_at": place.gone_at.isoformat() if place.gone_at else None,
        "state": place.state,
        "reason": reason_text(place.code, place.detail),
    }
