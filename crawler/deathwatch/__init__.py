"""Signs that a platform, a host of it or one section dies: one answer under many URLs, walls, refusals, silence.

An answer's *sign* is what it looks like by itself (``signs``). Several in a row of one sign are a suspicion, and no
more than that (``watch``): sweeps find holes, forums close sections, an application serves the same shell for every
page. What decides is a *control*: a URL that answered well before, asked once more (``case``). Where one is still as it
was, something is only missing or closed; where two show the sign, what was there is gone. So nothing that never
answered well can die, and a suspicion alone holds a crawl up for moments. Pure.
"""
