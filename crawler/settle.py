"""What becomes of a fetch once an exchange is over: the settling rules of design section 4, as one pure function.

Final: 2xx, 304, 400, 404, 405, 410, 451 and a redirect (its target is a new fetch). A 404 or 400 for something a
page *named* gets one second look; in an id sweep it is simply a hole. 401, 403 and 501 get one second look and are then
parked. 408, 425, 429 and other 5xx wait, and are parked after twelve tries; nothing is dropped. A body cut off three
times is kept as partial; one longer than we take, at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from crawler.model import Outcome, Standing, State, Verdict

#: Tries before a fetch that never gets a final answer is parked.
MAX_TRIES = 12
#: Tries for an exchange that fails before any answer on a name or certificate: it rarely gets better.
MAX_NAME_TRIES = 4
MAX_CUTS = 3
#: Seconds until something missing or forbidden is looked at once more. A crawl that has nothing else left to do
#: does not sit idle for it: see ``SECOND_LOOK`` in the supervisor.
SECOND_LOOK_AFTER = 3600.0
SECOND_LOOK = "second look"

#: 501 and 505 say what a server cannot do; waiting does not teach it.
_UNABLE = frozenset({501, 505})
_WAITING = frozenset({408, 425, 429}) | (frozenset(range(500, 600)) - _UNABLE)
_MISSING = frozenset({400, 404, 410})
_FORBIDDEN = frozenset({401, 403, 407, 511}) | _UNABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What becomes of the fetch, of its coverage, and of the record."""

    state: State
    reason: str = ""
    #: Seconds to wait before the next try, where ``state`` is QUEUED.
    wait: float = 0.0
    #: What the thing it covers now is; None where this says nothing.
    standing: Standing | None = None
    #: The callback may read the answer.
    read: bool = False
    #: The record belongs to the attempts, not beside the settled captures.
    attempt: bool = False
    #: The answer is a redirect whose target becomes a new fetch.
    redirect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The facts a ruling depends on."""

    outcome: Outcome
    status: int
    verdict: Verdict
    #: Attempts made before this one.
    attempt: int
    location: bool = False
    follow: bool = True
    sweep: bool = False
    #: The WARC-Truncated value of what was kept; None for a whole body.
    truncated: str | None = None


def rule(answer: Answer) -> Ruling:
    """Return what becomes of a fetch after this answer."""
    if answer.status == 0:
        return _unanswered(answer)
    if answer.verdict is Verdict.PRIVATE:
        return Ruling(state=State.EXCLUDED, reason="private", standing=Standing.EXCLUDED)
    if answer.status in _WAITING or answer.verdict in {Verdict.LIMITED, Verdict.TOMBSTONE}:
        return _wait(answer, MAX_TRIES, _why(answer))
    if answer.verdict is Verdict.LOGIN or (answer.status in _FORBIDDEN and answer.verdict is not Verdict.MISSING):
        return _second_look(answer, State.PARKED, Standing.REFUSED)
    if answer.truncated or answer.outcome is not Outcome.OK:
        return _cut(answer)
    if 300 <= answer.status < 400 and answer.status != 304 and answer.location and answer.follow:
        return Ruling(state=State.DONE, reason="redirect", redirect=True)
    if answer.status in _MISSING or answer.verdict is Verdict.MISSING:
        return _missing(answer)
    if 400 <= answer.status < 500:
        return Ruling(state=State.DONE, reason=f"HTTP {answer.status}", standing=Standing.MISSING)
    return Ruling(state=State.DONE, standing=Standing.CAPTURED, read=True)


def _why(answer: Answer) -> str:
    return answer.verdict.value if answer.verdict is not Verdict.OK else f"HTTP {answer.status}"


def _backoff(attempt: int) -> float:
    return min(2.0**attempt, 3600.0) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret


def _wait(answer: Answer, tries: int, why: str) -> Ruling:
    if answer.attempt + 1 >= tries:
        return Ruling(state=State.PARKED, reason=why, standing=Standing.REFUSED, attempt=True)
    return Ruling(state=State.QUEUED, reason=why, wait=_backoff(answer.attempt), attempt=True)


def _unanswered(answer: Answer) -> Ruling:
    if answer.outcome is Outcome.FORBIDDEN_ADDRESS:
        return Ruling(state=State.EXCLUDED, reason="private address", standing=Standing.EXCLUDED, attempt=True)
    rarely = answer.outcome in {Outcome.DNS, Outcome.TLS, Outcome.PROTOCOL}
    return _wait(answer, MAX_NAME_TRIES if rarely else MAX_TRIES, answer.outcome.value)


def _second_look(answer: Answer, state: State, standing: Standing) -> Ruling:
    if answer.sweep:
        # Asked on the chance that it answers: the refusal is the answer, once.
        return Ruling(state=State.DONE, reason=_why(answer), standing=standing, attempt=True)
    if answer.attempt == 0:
        return Ruling(state=State.QUEUED, reason=SECOND_LOOK, wait=SECOND_LOOK_AFTER, attempt=True)
    return Ruling(state=state, reason=_why(answer), standing=standing, attempt=state is not State.DONE)


def _missing(answer: Answer) -> Ruling:
    if answer.sweep:
        return Ruling(state=State.DONE, reason="hole", standing=Standing.VACANT)
    return _second_look(answer, State.DONE, Standing.MISSING)


def _cut(answer: Answer) -> Ruling:
    if answer.truncated == "length":
        # We stopped reading, and would again: asking once more gets no more of it.
        return Ruling(state=State.DONE, reason="too long", standing=Standing.PARTIAL, read=True)
    if answer.attempt + 1 < MAX_CUTS:
        return Ruling(state=State.QUEUED, reason="cut", wait=_backoff(answer.attempt))
    return Ruling(state=State.DONE, reason="partial", standing=Standing.PARTIAL, read=True)
