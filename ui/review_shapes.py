"""Photos under review as the JSON routes answer them."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.merged_labels import Scored
from db.review_cards import ReviewCard
from ui.shapes import Json


def card_shape(card: ReviewCard, reason: str | None = None) -> Json:
    """A photo with what the model says of it and what people have said."""
    return {
        "id": card.photo_id,
        "name": card.name,
        "width": card.width,
        "height": card.height,
        "has_previews": card.has_previews,
        "reason": reason,
        "shown": card.shown,
        "score": None if card.shown_score is None else round(card.shown_score, 4),
        "by_person": card.origin == "person",
        "not_sure": card.not_sure,
        "labels": _labels(card.top),
        "others": [
            {"version": one.version, "labels": _labels(one.top)} for one in card.versions if one.version != card.version
        ],
        "seen": card.seen,
        "said": None
        if card.said is None
        else {"by": card.said.by, "words": said_words(card.said.verdict, card.said.label)},
    }


def said_words(verdict: str, label: str | None) -> str:
    """A verdict as a person would report it: "Ann said ..."."""
    return WORDS.get(verdict) or label or "a label"


WORDS: Mapping[str, str] = {"none": "none of these", "unsure": "that they cannot tell"}


def _labels(top: Sequence[Scored]) -> list[list[Any]]:
    return [[one.label_id, one.name, round(one.score, 4)] for one in top]
