"""What sets the members of the Misskey family apart, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one member of the family does in its own way."""

    #: What asks an account's list for everything: replies, renotes and what was said in channels are left out else.
    whole: dict[str, Any]
    #: What a post was before it was edited; empty where posts cannot be.
    history: str = ""


#: Since version 13. Older names of the same switches are passed over.
MISSKEY = Dialect(whole={"withReplies": True, "withRenotes": True, "withChannelNotes": True, "allowPartial": False})
SHARKEY = Dialect(whole=MISSKEY.whole, history="notes/versions")
#: Forks of version 12 and what became of it.
FIREFISH = Dialect(whole={"includeReplies": True, "includeMyRenotes": True}, history="notes/history")
