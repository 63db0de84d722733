"""URIs that the standard gives to kinds of revisit (WARC/1.1 section 6.7)."""

from __future__ import annotations

IDENTICAL = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
