from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from crawler.capture.pool import Pool, PoolOptions
from tests.integration.capture.certificates import Authority

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "ugly.test"})


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def open_pool(authority, tmp_path):
    """Return a function that opens a pool with some options changed."""

    @asynccontextmanager
    async def opened(*, on_lookup=None, on_chain=None, **options):
        usual = {
            "user_agent": "outlast-test", "ca_cert": authority.path, "trusted_hosts": LOOPBACK,
            "spool_dir": tmp_path / "spool", "first_byte_timeout": 5, "idle_timeout": 5,
        }  # fmt: skip
        pool = Pool(PoolOptions(**(usual | options)), on_lookup=on_lookup, on_chain=on_chain)
        try:
            yield pool
        finally:
            await pool.close()

    return opened
