"""Changes of the vocabulary in words, as the page and the command line tell them before they are made."""

from collections.abc import Iterator

from db.label_preview import Preview


def words_of(found: Preview) -> list[str]:
    """What would come of a change, a sentence each."""
    change = found.change
    label_id = change.label_id
    name = f"“{change.names.get(label_id or 0, '')}”"
    photos = found.reviewed + found.predicted
    named = f", {found.reviewed:,} of them named by people" if found.reviewed else ""
    if change.kind == "merge":
        return [*_of_merge(found, name)]
    if change.kind == "rename":
        old = f"“{change.before[label_id or 0]['name']}”"
        return [_instead(found, old, name)]
    if change.kind == "parent":
        return [*_of_parent(found, name)]
    if change.kind == "retire":
        kept = f"{_photos(photos)} {'keeps' if photos == 1 else 'keep'} it{named}." if photos else "No photo shows it."
        return [f"{name} will no longer be offered.", kept, *_of_versions(found, "still say it")]
    return [f"{name} will be offered again."]


def _of_merge(found: Preview, name: str) -> Iterator[str]:
    change = found.change
    sources = [f"“{each}”" for label_id, each in change.names.items() if label_id != change.label_id]
    old = listed(sources)
    yield _instead(found, old, name)
    if found.children:
        stand = "label that stands" if found.children == 1 else "labels that stand"
        yield f"{found.children:,} {stand} below will go below {name}: {listed(found.child_names)}."
    its = "its name finds" if len(sources) == 1 else "their names find"
    yield f"{old} will no longer be offered; {its} {name}."
    yield from _of_versions(found, f"still say it, and {name} is shown")


def _instead(found: Preview, old: str, name: str) -> str:
    photos = found.reviewed + found.predicted
    if not photos:
        return f"No photo shows {old}."
    named = f", {found.reviewed:,} of them named by people" if found.reviewed else ""
    return f"{_photos(photos)} will show {name} instead of {old}{named}."


def _of_parent(found: Preview, name: str) -> Iterator[str]:
    change = found.change
    parent_id = change.after[change.label_id or 0]["parent_id"]
    place = f"below “{change.names[parent_id]}”" if parent_id else "at the top"
    with_it = f" with the labels below it ({found.children:,})" if found.children else ""
    yield f"{name}{with_it} will stand {place}."
    if parent_id:
        photos = found.reviewed + found.predicted
        yield f"Who filters by “{change.names[parent_id]}” will find {_photos(photos)} of {name} as well."


def _of_versions(found: Preview, what: str) -> Iterator[str]:
    if found.versions:
        yield f"Model versions that know it {what}: {listed(found.versions)}."


def listed(names: list[str]) -> str:
    """`a, b and c`; of many the first six."""
    if len(names) > 6:
        return f"{', '.join(names[:6])} and {len(names) - 6:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"
