"""``archive detect``: say which platform a site is, without crawling it."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from crawler.commands.console import common, console_from
from crawler.commands.crawl import config_from, options_of_a_crawl

EXIT = "\b\nExit status\n  0  recognised\n  2  not a host or URL\n  9  the site cannot be reached or refuses"


@click.command(epilog=EXIT)
@click.argument("domain")
@options_of_a_crawl
@common
def detect(domain: str, **options: Any) -> None:
    """Ask DOMAIN a handful of questions (at most 8 requests beside robots.txt) and say which platform it is."""
    from dataclasses import replace  # noqa: PLC0415 - not for --help

    from crawler.errors import SiteUnavailable  # noqa: PLC0415
    from crawler.probe import probe  # noqa: PLC0415
    from crawler.provenance import user_agent  # noqa: PLC0415
    from crawler.scope import seed_from  # noqa: PLC0415
    from crawler.url import host_of  # noqa: PLC0415

    console = console_from(options)
    seed = seed_from(domain)
    config = config_from(options)
    site = asyncio.run(probe(seed, replace(config, user_agent=user_agent(config))))
    if site.refusal:
        raise SiteUnavailable(site.refusal)
    console.result(f"{host_of(seed.url)}: {site.title} ({site.platform}), confidence {site.confidence} %")
    for reason in site.reasons:
        console.result(f"  {reason}")
    console.summary(
        domain=domain, platform=site.platform, title=site.title, confidence=site.confidence, reasons=list(site.reasons),
        requests=len(site.captures),
    )  # fmt: skip
