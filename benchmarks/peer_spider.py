"""The spider that Scrapy and scrapy-webarchive crawl the benchmark's site with: links and images, by lxml.

Runs in the peers' own environments (Scrapy 2.11 and later), never in ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scrapy
from scrapy.http import HtmlResponse
from scrapy.linkextractors import LinkExtractor

if TYPE_CHECKING:
    from collections.abc import Iterator


class SiteSpider(scrapy.Spider):
    """Follows all that pages link to and show."""

    name = "site"
    links = LinkExtractor(tags=("a", "area", "img"), attrs=("href", "src"), deny_extensions=[])

    def __init__(self, url: str, **more: Any) -> None:
        super().__init__(**more)
        self.start_urls = [url]

    def parse(self, response: Any) -> Iterator[Any]:
        if isinstance(response, HtmlResponse):
            for link in self.links.extract_links(response):
                yield scrapy.Request(link.url)
