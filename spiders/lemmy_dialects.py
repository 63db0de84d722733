"""What sets Lemmy's API since 1.0 apart from the one before, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The words of one version of the API."""

    #: Its place, and how to ask for what belongs to this server, newest first. Above 50 is an error.
    root: str
    local: str
    #: What one person said, by number.
    person: str
    #: Where a listing's objects stand; the first one that is there counts.
    lists: tuple[str, ...]
    #: People can be listed.
    has_people: bool = False


#: 0.19 goes through posts by cursor and through all else by number; 0.18 by number alone.
V3 = Dialect(
    root="/api/v3", local="type_=Local&sort=New&limit=50&show_nsfw=true", person="user?sort=New&limit=50&person_id={}",
    lists=("posts", "comments", "communities"),
)  # fmt: skip
#: Everything goes by cursor, and cursors are shuffled so that nobody reads them.
V4 = Dialect(
    root="/api/v4", local="type_=local&sort=new&limit=50&show_nsfw=true", person="person/content?limit=50&person_id={}",
    lists=("items", "posts", "comments", "communities", "content", "persons"), has_people=True,
)  # fmt: skip
DIALECTS = {"v3": V3, "v4": V4}
