"""The errors a person can meet. The docstring of each class is its default message; each carries its exit code.

OutlastError                   1
├── UsageError                 2   what was typed cannot be done
│   └── NotACollection         2   --into is a directory that is no collection of ours
├── NotHere                    3   what was asked for is not on this machine
│   └── TakenDown              3   it may not be shown
├── CredentialsError           4
├── Locked                     5   another run holds the collection
├── Damaged                    6   verify found damage
├── TimeUp                     7   deadline or --max-time reached, resumable
├── DiskFull                   8   disk or size limit, resumable
├── SiteUnavailable            9   the site cannot be reached, refuses or is gone
├── NoCollection              10
├── DatabaseLost              11   the fleet's database cannot be reached, or failed
│   └── NoCrawl              11   it can, and there is no crawl in it
├── EngineLost                12   the engine that was to do the work cannot be reached, or failed
└── Interrupted              130   stopped by the user, state saved
"""

from __future__ import annotations

import errno

#: Errors by which the system says that a disk, or a user's share of it, is full.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class OutlastError(Exception):
    """Something went wrong inside Outlast."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n", 1)[0])


class UsageError(OutlastError):
    """What was asked cannot be done."""

    exit_code = 2


class NotACollection(UsageError):
    """That directory is not an Outlast collection; name another with --into."""


class NotHere(OutlastError):
    """That is not on this machine; archive pull brings it back."""

    exit_code = 3


class TakenDown(NotHere):
    """That was taken down; archive takedown DIR --list says when and why."""


class CredentialsError(OutlastError):
    """The credentials are missing or were refused."""

    exit_code = 4


class Locked(OutlastError):
    """Another run holds this collection; wait for it or stop it first."""

    exit_code = 5


class Damaged(OutlastError):
    """Verification found damage."""

    exit_code = 6


class TimeUp(OutlastError):
    """The time limit was reached; the same command goes on from here."""

    exit_code = 7


class DiskFull(OutlastError):
    """The disk or size limit was reached; free some space and run the same command again."""

    exit_code = 8


class TooFewFiles(OutlastError):
    """The system lets us open no more files; raise the limit and run the same command again."""

    exit_code = 8


class SiteUnavailable(OutlastError):
    """The site cannot be reached, refuses, or is gone."""

    exit_code = 9


class NoCollection(OutlastError):
    """There is no such collection."""

    exit_code = 10


class DatabaseLost(OutlastError):
    """The fleet's database cannot be reached; what is captured is saved and the same command goes on from here."""

    exit_code = 11


class NoCrawl(DatabaseLost):
    """There is no crawl in that database."""


class EngineLost(OutlastError):
    """The engine is gone; nothing that was saved is lost, and the same command may be run again."""

    exit_code = 12


class Interrupted(OutlastError):
    """Interrupted; everything captured so far is saved and the same command goes on from here."""

    exit_code = 130
