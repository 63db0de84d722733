"""How the sweep of a template is shown: what was asked, what answered, and a map of where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler.frontier.sweeps import STRETCH
from crawler.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.frontier.interface import Swept

#: Cells of a map at the most.
CELLS = 64
#: A cell of which nothing was asked yet, one in which nothing answered, and the more that answers the higher.
UNASKED, HOLES, HITS = "░", "·", "▁▂▃▄▅▆▇█"
#: Dense stretches that are named.
MOST_NAMED = 8


def sweep_lines(sweeps: Sequence[Swept]) -> Iterator[str]:
    """Yield what people see of the sweeps of a collection."""
    for swept in sweeps:
        template = Template.of(swept.template)
        left = template.size - swept.asked
        order = "dense stretches first" if swept.walk == "dense" else f"{swept.walk} first"
        to_go = f"{left:,} ids not asked yet, {order}" if left else "all ids asked"
        yield f"  {template.text}: {swept.hits:,} answered, {swept.holes:,} holes, {to_go}"
        yield f"    {template.label(0)} {space(swept, template)} {template.label(template.size - 1)}"
        if runs := list(_dense(swept, template)):
            named = ", ".join(f"{first}-{last} ({hits:,})" for first, last, hits in runs[:MOST_NAMED])
            more = f" and {len(runs) - MOST_NAMED:,} more" if len(runs) > MOST_NAMED else ""
            yield f"    answers lie in {named}{more}"


def sweep_facts(sweeps: Sequence[Swept]) -> list[dict[str, Any]]:
    """Return the same for programs; ``dense`` are runs of stretches with answers: first id, last id, how many."""
    read = [(swept, Template.of(swept.template)) for swept in sweeps]
    return [
        {"template": template.text, "order": swept.walk, "ids": template.size, "asked": swept.asked,
         "hits": swept.hits, "holes": swept.holes, "map": space(swept, template),
         "dense": list(_dense(swept, template))}
        for swept, template in read
    ]  # fmt: skip


def space(swept: Swept, template: Template) -> str:
    """Return the map of a template's ids, lowest first."""
    stretches = -(-template.size // STRETCH)
    cells = min(CELLS, stretches)
    asked, hits = [0] * cells, [0] * cells
    for one in swept.stretches:
        cell = one.number * cells // stretches
        asked[cell] += one.asked
        hits[cell] += one.hits
    return "".join(map(_glyph, asked, hits))


def _glyph(asked: int, hits: int) -> str:
    if not asked:
        return UNASKED
    return HITS[min(hits * len(HITS) // asked, len(HITS) - 1)] if hits else HOLES


def _dense(swept: Swept, template: Template) -> Iterator[tuple[str, str, int]]:
    """Yield runs of neighbouring stretches in which something answered: first id, last id, how many did."""
    run: list[int] = []
    for one in [*(one for one in swept.stretches if one.hits), None]:
        if run and (one is None or one.number > run[1] + 1):
            last = min((run[1] + 1) * STRETCH, template.size) - 1
            yield template.label(run[0] * STRETCH), template.label(last), run[2]
            run = []
        if one is not None:
            run = [run[0] if run else one.number, one.number, (run[2] if run else 0) + one.hits]
