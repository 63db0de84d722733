"""Chromium, as far as an engine needs one of its own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from crawler.reading.replay import NotInstalled

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "brave-browser", "microsoft-edge")
#: A browser that does nothing of its own accord.
_ALONE = (
    "--no-first-run", "--no-default-browser-check", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--disable-domain-reliability", "--disable-quic", "--disable-default-apps",
    "--disable-features=OptimizationHints,MediaRouter,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
)  # fmt: skip


def mapped(port: int, key: str, profile: Path, url: str) -> tuple[str, ...]:
    """Return the command of a Chromium for which every host is this port, with a profile of its own.

    ``key`` is the SHA-256 of the only public key whose certificate it takes without an authority, base64.
    Raises NotInstalled.
    """
    program = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if program is None:
        raise NotInstalled("--engine direct needs Chromium or Chrome, and none is installed here.")
    return (
        program, *_ALONE, f"--user-data-dir={profile}", f"--host-resolver-rules=MAP * 127.0.0.1:{port}",
        f"--ignore-certificate-errors-spki-list={key}", "--", url,
    )  # fmt: skip
