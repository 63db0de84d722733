"""What the replica's invented people say: small talk, in several scripts, about nothing that ever happened."""

from __future__ import annotations

import re

ADJECTIVES = (
    "quiet", "amber", "brisk", "mellow", "tidy", "rustic", "plain", "windy", "dapper", "cosy", "nimble", "sandy",
    "misty", "humble", "lively",
)  # fmt: skip
NOUNS = (
    "heron", "teapot", "lantern", "otter", "bramble", "kettle", "pebble", "walnut", "thimble", "willow", "badger",
    "marble", "saddle", "clover", "anvil",
)  # fmt: skip
TAGS = ("gardening", "bread", "bicycles", "lighthouse", "tea", "birds", "Käsekuchen", "お茶")
_WORDS = tuple(
    re.findall(
        r"\w+",
        "the garden soup morning train window paints a slow river kettle while neighbours repair bicycles under old "
        "chestnut trees and somebody bakes bread with rosemary because rain is expected before supper on thursday near "
        "the lighthouse where gulls argue about crumbs every single evening until lamps come on",
    )
)
_SPICE = (
    "", "", "", "", " 🫖", " Grüße aus dem Garten", " お茶の時間", " & <tea>", " café", " добрый день", ' "quoted"',
    " 👩‍🌾🌻", " شاي بالنعناع", " @nobody_here", " it's 5 o'clock", " 100 % bread",
)  # fmt: skip
_NAMES = ("", "", "", "", " 🫖", " & Sons", " - Baker", " <3", " Ødegaard-Inventé", " 庭師")


def name(key: int, words: str) -> str:
    """Return a display name."""
    return words + _NAMES[key % len(_NAMES)]


def sentence(key: int, words: int) -> str:
    """Return so many words."""
    return " ".join(_WORDS[(key >> place * 3) % len(_WORDS)] for place in range(words))


def text(key: int) -> str:
    """Return one to three lines, some with a hashtag."""
    lines = [sentence(key + line * 7, 5 + key % 9) for line in range(1 + key % 3)]
    lines[0] += _SPICE[key // 3 % len(_SPICE)]
    if key // 7 % 4 == 0:
        lines[-1] += f" #{TAGS[key // 28 % len(TAGS)]}"
    return "\n".join(lines)
