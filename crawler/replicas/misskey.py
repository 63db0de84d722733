"""A Misskey server (2024's API, from its source) and its relatives: python -P -m crawler.replicas.misskey.

What clients trip over: every reading is a POST; the local timeline leaves replies out unless asked for them, never has
those of followers, and forgets what is older than ten days; lists drop what strangers may not have after a page is cut,
so a page that is short is not the last; an account's list leaves replies and channels out unless asked for them, and
goes oldest first where it is given a beginning alone; who does not want to be found is in no directory; some let only
those who have logged in see what they say; a page for no note is a shell with status 200; originalNotesCount counts
what strangers cannot have.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, posted, route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.exchange import Answer, Request

_PAGE, _EPOCH, _DIGITS = 100, 946_684_800_000, "0123456789abcdefghijklmnopqrstuvwxyz"
#: What the timeline remembers.
_MEMORY = timedelta(days=10)
_VISIBILITY = ("public",) * 12 + ("home", "home", "followers", "followers", "specified", "public")
#: Of so many questions one is refused, where there are limits.
_TURN = 40


@dataclass
class Person:
    """Somebody with an account here, or (``host``) elsewhere."""

    id: str
    username: str
    host: str | None = None
    listed: bool = True
    is_shown: bool = True
    notes: list[Said] = field(default_factory=list)


@dataclass
class Said:
    """A note, an answer to one, or one passed on."""

    id: str
    at: datetime
    person: Person
    visibility: str
    text: str | None
    files: list[str] = field(default_factory=list)
    film: str = ""
    channel: str = ""
    is_edited: bool = False
    mentions: list[Person] = field(default_factory=list)
    reply: Said | None = None
    renote: Said | None = None
    answers: list[Said] = field(default_factory=list)

    @property
    def is_public(self) -> bool:
        return self.visibility in {"public", "home"} and self.person.is_shown


class MisskeySite(PlatformSite):
    """One server, the people on it, and a few from elsewhere."""

    name = "misskey"
    title = "A Misskey server."
    traps: ClassVar[dict[str, str]] = {
        "closed": "the local timeline answers LTL_DISABLED",
        "nodirectory": "the directory wants a login",
        "leak": "what is for followers, or for those who have logged in, stands in lists",
        "unnamed": "there is no NodeInfo",
        "limited": "one question in forty is refused, and when that ends is said in milliseconds, as Sharkey does",
        "sharkey": "Sharkey: edits",
        "firefish": "Firefish: the switches of version 12, emoji in meta, edits",
    }

    def build(self) -> None:
        """Make the people and what they said, oldest first."""
        self.software = next((name for name in ("sharkey", "firefish") if name in self.trap), "misskey")
        self._at, self._asked = self.clock.moment - timedelta(days=40), 0
        self._step = max(timedelta(days=39) / self.size, timedelta(seconds=1))
        self._people = [
            Person(f"9a{n:08}", f"finch{n}", listed=n % 3 != 2, is_shown=n % 9 != 4)
            for n in range(max(self.size // 12, 6))
        ]
        self._strangers = [Person(f"9z{n:08}", f"robin{n}", host="elsewhere.example") for n in range(3)]
        self._notes: dict[str, Said] = {}
        for number in range(self.size):
            self._say(number)
        first = next(one for one in self._people[0].notes if one.is_public and not one.renote)
        first.mentions = [*self._people[1:], self._strangers[0]]
        for path in ("/vite/style.css", "/vite/boot.js"):
            self.asset(path)
        self._emoji = self.image("/emoji/tea.jpg", kind="emoji")
        for person in self._people:
            self._enter(person)
        self._count()

    def _id(self) -> str:
        left, text = int(self._at.timestamp() * 1000) - _EPOCH, ""
        for _ in range(8):
            left, digit = divmod(left, 36)
            text = _DIGITS[digit] + text
        return f"{text}{self.rng.randrange(10**8):08}"

    def _say(self, number: int) -> None:
        self._at += timedelta(seconds=self._step.total_seconds() * (0.5 + self.rng.random()))
        # The last one never says anything; the last but one is in no directory, and says things at home.
        person = self._people[0 if number % 2 == 0 else self.rng.randrange(len(self._people) - 1)]
        person.listed = person.listed and person is not self._people[-2]
        visibility = _VISIBILITY[number % len(_VISIBILITY)]
        note = Said(self._id(), self._at, person, visibility, None)
        note.text = self.says(public=note.is_public)
        if number % 5 == 1:
            others = [one for one in self._notes.values() if one.is_public and not one.renote]
            note.reply = self.rng.choice(others) if others else None
        elif number % 11 == 3 and note.is_public:
            earlier = [one for one in person.notes if one.is_public and not one.renote]
            note.renote = self._stranger_says() if number % 2 else (earlier[-1] if earlier else None)
            note.text = None if note.renote else note.text
        elif number % 4 == 0:
            note.files = [self._picture(note, part) for part in range(1 + number % 3)]
        elif number % 7 == 2 and note.is_public:
            note.film = f"/files/{note.id}.mp4"
            data = f"film {note.id}".encode() * 50
            self.books.file("video", self.file(note.film, data, "video/mp4"), data)
        elif number % 9 == 7:
            note.channel = "9c00000001"
        note.is_edited = number % 6 == 4 and note.is_public and self.software != "misskey" and not note.renote
        if note.reply is not None:
            note.reply.answers.append(note)
            if number % 2:
                self._is_answered(note.reply)
        self._notes[note.id] = note
        person.notes.append(note)

    def _picture(self, note: Said, part: int) -> str:
        path = f"/files/{'' if note.is_public else PRIVATE}{note.id}{part}.jpg"
        self.image(path.replace("/files/", "/files/thumbnail-"), kind="preview", public=note.is_public)
        return self.image(path, public=note.is_public)

    def _stranger_says(self) -> Said:
        person = self.rng.choice(self._strangers)
        return Said(self._id(), self._at, person, "public", self.says())

    def _is_answered(self, note: Said) -> None:
        """Let somebody elsewhere answer, and somebody else there answer that."""
        for _ in range(2):
            answer = self._stranger_says()
            answer.reply = note
            note.answers.append(answer)
            self._notes[answer.id] = answer
            note = answer

    def _enter(self, person: Person) -> None:
        self.books.add("account", person.id, f"/@{person.username}", item="Account")
        for kind in ("avatar", "banner"):
            self.image(f"/files/{kind}-{person.id}.jpg", kind=kind)
        for note in person.notes:
            self.books.add(
                "reply" if note.reply else "post", note.id, "" if note.renote else f"/notes/{note.id}",
                public=note.is_public, item="Post", at=note.at.isoformat(),
            )  # fmt: skip
            if note.is_public and note.is_edited:
                self.books.listing("history", 1, 1)
        public = sum(note.is_public for note in person.notes)
        if person.is_shown:
            self.books.listing("notes", public, _PAGE)

    def _count(self) -> None:
        listed = len(self._timeline({"withReplies": True}))
        self.books.listing("timeline", 0 if "closed" in self.trap else listed, _PAGE)
        self.books.listing("directory", sum(person.listed for person in self._people), _PAGE)
        self.books.listing("instance", 4, 1)  # meta, stats, emoji, the front page
        answered = [one for one in self._notes.values() if one.is_public and self._answers(one, leaks=False)]
        for one in answered:
            self.books.listing("answers", len(self._answers(one, leaks=False)), _PAGE)

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer a request; one with limits says how often its API may be asked, and refuses one in so many."""
        is_api = request.method == "POST" and request.path.startswith("/api/")
        if "limited" not in self.trap or not is_api:
            return super().answer(request)
        self._asked += 1
        if self._asked % _TURN == 0:
            code = {"message": "Rate limit exceeded.", "code": "RATE_LIMIT_EXCEEDED", "id": "d5826d14"}
            headers = (("X-RateLimit-Remaining", "0"), ("X-RateLimit-Clear", "1"))
            ends = (("Retry-After", "1"), ("X-RateLimit-Reset", "420"))
            return as_json({"error": code}, 429, headers=(*headers, *ends))
        left = (("X-RateLimit-Remaining", str(_TURN - self._asked % _TURN)), ("X-RateLimit-Clear", "1"))
        found = super().answer(request)
        return replace(found, headers=(*found.headers, *left))

    @route(r"/\.well-known/nodeinfo")
    def door(self, request: Request) -> Answer:
        if "unnamed" in self.trap:
            return self.missing(request)
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.1"
        return as_json({"links": [{"rel": rel, "href": f"{base(request)}/nodeinfo/2.1"}]})

    @route(r"/nodeinfo/2\.1")
    def nodeinfo(self, request: Request) -> Answer:
        if "unnamed" in self.trap:
            return self.missing(request)
        usage = {"users": {"total": len(self._people)}, "localPosts": self._said_here(), "localComments": 0}
        software = {"name": self.software, "version": "2024.11.0"}
        metadata = {"disableLocalTimeline": "closed" in self.trap}
        return as_json({"version": "2.1", "software": software, "usage": usage, "metadata": metadata})

    @route(r"/api/meta", "POST")
    def meta(self, request: Request) -> Answer:
        emojis = {"emojis": self._emojis(request)} if self.software == "firefish" else {}
        return as_json({"version": "2024.11.0", "name": "Finches", "iconUrl": None, **emojis})

    @route(r"/api/stats", "POST")
    def stats(self, request: Request) -> Answer:
        here = {"originalNotesCount": self._said_here(), "originalUsersCount": len(self._people)}
        return as_json({**here, "notesCount": len(self._notes), "usersCount": len(self._people) + 3, "instances": 1})

    @route(r"/api/emojis", "POST")
    def emojis(self, request: Request) -> Answer:
        if self.software == "firefish":
            return self._refused("UNKNOWN_API_ENDPOINT", 404)
        return as_json({"emojis": self._emojis(request)})

    @route(r"/api/notes/local-timeline", "POST")
    def timeline(self, request: Request) -> Answer:
        if "closed" in self.trap:
            return self._refused("LTL_DISABLED", 400)
        return self._paged(request, self._timeline(posted(request)))

    @route(r"/api/users", "POST")
    def directory(self, request: Request) -> Answer:
        if "nodirectory" in self.trap:
            return self._refused("CREDENTIAL_REQUIRED", 401)
        asked = posted(request)
        start, limit = int(asked.get("offset", 0)), min(int(asked.get("limit", 10)), _PAGE)
        listed = [person for person in self._people if person.listed][start : start + limit]
        return as_json([self._person(person, request, detailed=True) for person in listed])

    @route(r"/api/users/show", "POST")
    def show(self, request: Request) -> Answer:
        asked = posted(request)
        everybody = {person.id: person for person in (*self._people, *self._strangers)}
        if isinstance(asked.get("userIds"), list):
            found = [everybody[one] for one in asked["userIds"] if one in everybody]
            return as_json([self._person(person, request, detailed=True) for person in found])
        name = asked.get("username")
        one = everybody.get(asked.get("userId", "")) or next((p for p in self._people if p.username == name), None)
        return as_json(self._person(one, request, detailed=True)) if one else self._refused("NO_SUCH_USER", 404)

    @route(r"/api/users/notes", "POST")
    def notes(self, request: Request) -> Answer:
        asked = posted(request)
        person = next((one for one in self._people if one.id == asked.get("userId")), None)
        if person is None:
            return self._refused("NO_SUCH_USER", 400)
        is_old = self.software == "firefish"
        has_replies, has_channels = asked.get("includeReplies", True), True
        if not is_old:
            has_replies, has_channels = asked.get("withReplies", False), asked.get("withChannelNotes", False)
        wanted = [one for one in person.notes if (has_replies or not one.reply) and (has_channels or not one.channel)]
        return self._paged(request, wanted)

    @route(r"/api/notes/children", "POST")
    def children(self, request: Request) -> Answer:
        note = self._notes.get(posted(request).get("noteId", ""))
        return self._paged(request, self._answers(note, leaks="leak" in self.trap) if note else [])

    @route(r"/api/notes/(versions|history)", "POST")
    def history(self, request: Request, part: str) -> Answer:
        note = self._notes.get(posted(request).get("noteId", ""))
        right = {"sharkey": "versions", "firefish": "history"}.get(self.software)
        if note is None or not note.is_public or part != right:
            return self._refused("NO_SUCH_NOTE", 400)
        return as_json([{"text": f"{note.text} {n}", "updatedAt": _iso(note.at)} for n in range(2)])

    @route(r"/notes/([0-9a-z]+)")
    def note_page(self, request: Request, identity: str) -> Answer:
        """Answer with the shell, which names a note that strangers may have and no other."""
        note = self._notes.get(identity)
        known = f'<meta name="misskey:note-id" content="{identity}">' if note and note.is_public else ""
        return self._shell(identity, known)

    @route(r"/@([a-z0-9]+)")
    def person_page(self, request: Request, username: str) -> Answer:
        person = next((one for one in self._people if one.username == username), None)
        return self._shell(username, "") if person else self.missing(request)

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return self._shell("Finches", "")

    def _shell(self, title: str, head: str) -> Answer:
        made = '<meta name="application-name" content="Misskey">' if self.software == "misskey" else ""
        needs = '<link rel="stylesheet" href="/vite/style.css"><script src="/vite/boot.js"></script>'
        return html(title, '<div id="splash"></div>', head=f"{made}{head}{needs}")

    def _refused(self, code: str, status: int) -> Answer:
        return as_json({"error": {"message": "No.", "code": code, "id": "45a6eb02", "kind": "client"}}, status)

    def _said_here(self) -> int:
        return sum(not one.person.host for one in self._notes.values())

    def _emojis(self, request: Request) -> list[dict[str, Any]]:
        return [{"name": "tea", "aliases": [], "category": None, "url": f"{base(request)}{self._emoji}"}]

    def _timeline(self, asked: dict[str, Any]) -> list[Said]:
        since = self.clock.moment - _MEMORY
        listed = [one for one in self._notes.values() if one.visibility == "public" and not one.person.host]
        return [
            one for one in listed
            if one.at > since and not one.channel and (asked.get("withReplies") or not one.reply) and one.is_public
        ]  # fmt: skip

    def _answers(self, note: Said, *, leaks: bool) -> list[Said]:
        return [one for one in note.answers if one.is_public or leaks]

    def _paged(self, request: Request, notes: Sequence[Said]) -> Answer:
        """Answer with a page: cut first, then rid of what strangers may not have."""
        asked = posted(request)
        since, until = asked.get("sinceDate"), asked.get("untilDate")
        found = sorted(notes, key=lambda one: one.id, reverse=not (since and not until and not asked.get("untilId")))
        found = [
            one for one in found
            if (not asked.get("untilId") or one.id < asked["untilId"])
            and (not until or _milliseconds(one.at) < until) and (not since or _milliseconds(one.at) > since)
        ][: min(int(asked.get("limit", 10)), _PAGE)]  # fmt: skip
        leaks = "leak" in self.trap
        return as_json([self._note(one, request) for one in found if leaks or one.visibility in {"public", "home"}])

    def _note(self, note: Said, request: Request) -> dict[str, Any]:
        is_hidden = not note.is_public and "leak" not in self.trap
        theirs = f"https://{note.person.host}/notes/{note.id}" if note.person.host else None
        files = [] if is_hidden else [self._file(path, request) for path in (*note.files, note.film) if path]
        return {
            "id": note.id, "createdAt": _iso(note.at), "userId": note.person.id,
            "user": self._person(note.person, request), "text": None if is_hidden else note.text, "cw": None,
            "visibility": note.visibility, **({"isHidden": True} if is_hidden else {}), "localOnly": bool(note.channel),
            "renoteId": note.renote.id if note.renote else None, "replyId": note.reply.id if note.reply else None,
            "renote": self._note(note.renote, request) if note.renote else None,
            "reply": self._note(replace(note.reply, reply=None), request) if note.reply else None,
            "files": files, "fileIds": [file["id"] for file in files], "tags": ["tea"] if note.files else [],
            "mentions": [one.id for one in note.mentions], "reactions": {"👍": 2}, "reactionCount": 2,
            "renoteCount": 0, "repliesCount": len(note.answers), "channelId": note.channel or None,
            "updatedAt": _iso(note.at) if note.is_edited else None, **({"uri": theirs} if theirs else {}),
            "poll": {"choices": [{"text": "tea", "votes": 3}], "multiple": False, "expiresAt": None}
            if note.is_edited else None,
        }  # fmt: skip

    def _file(self, path: str, request: Request) -> dict[str, Any]:
        is_film, thumbnail = path.endswith(".mp4"), path.replace("/files/", "/files/thumbnail-")
        return {
            "id": path.rpartition("/")[2].partition(".")[0], "name": path.rpartition("/")[2], "comment": "a finch",
            "type": "video/mp4" if is_film else "image/jpeg", "url": base(request) + path, "isSensitive": False,
            "thumbnailUrl": None if is_film else base(request) + thumbnail, "size": 1000, "md5": "0" * 32,
        }  # fmt: skip

    def _person(self, person: Person, request: Request, *, detailed: bool = False) -> dict[str, Any]:
        avatar = f"{base(request)}/files/avatar-{person.id}.jpg"
        lite = {
            "id": person.id, "username": person.username, "host": person.host, "name": "A finch", "avatarUrl": avatar,
            **({} if person.is_shown else {"requireSigninToViewContents": True}),
        }  # fmt: skip
        if not detailed:
            return lite
        last = max((one.at for one in person.notes), default=None)
        return {
            **lite, "description": "tea", "createdAt": "2019-01-01T00:00:00.000Z", "isLocked": False, "url": None,
            "updatedAt": _iso(last) if last else None, "bannerUrl": f"{base(request)}/files/banner-{person.id}.jpg",
            "notesCount": len(person.notes), "followersCount": 2, "followingCount": 1, "pinnedNotes": [],
            "fields": [{"name": "likes", "value": "tea"}],
        }  # fmt: skip


def _milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    main(MisskeySite)
