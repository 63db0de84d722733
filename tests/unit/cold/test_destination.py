import pytest

from crawler.cold.destination import from_table, from_tables, from_url
from crawler.errors import UsageError


def test_a_url_names_a_bucket_or_a_directory() -> None:
    one = from_url("s3://b-1/some/prefix/", endpoint="https://s3.example.net")
    assert (one.bucket, one.prefix, one.counted_as) == ("b-1", "some/prefix", "https://s3.example.net")
    assert one.key("x", "y") == "some/prefix/x/y"
    disk = from_url("file:///mnt/a%20disk/")
    assert (disk.path, disk.bucket, disk.counted_as) == ("/mnt/a disk", "", "/mnt/a disk")


@pytest.mark.parametrize(
    "url", ["http://b/p", "s3:///p", "s3://b/p?x", "file://host/p", "file:///", "file:///a/../b", "b"]
)
def test_what_names_nothing_is_said(url: str) -> None:
    with pytest.raises(UsageError):
        from_url(url)


def test_a_table_says_all_there_is_to_say() -> None:
    table = {
        "name": "vault", "bucket": "b", "prefix": "p", "endpoint": "https://x", "region": "r", "profile": "q",
        "owner": "o", "storage_class": "GLACIER_IR", "hot_class": "STANDARD", "lock": "governance", "lock_days": 30,
        "quorum": False, "public": True, "bandwidth": 5_000_000, "sse": "aws:kms", "sse_key": "k",
        "tags": {"a": "b"}, "metadata": {"c": "d"},
    }  # fmt: skip
    one = from_table(table)
    assert {name: getattr(one, name) for name in table} == table


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"bucket": "b"}, "needs a name"),
        ({"name": "a"}, "no destination"),
        ({"name": "a", "bucket": "b", "colour": "red"}, "no setting colour"),
        ({"name": "a", "bucket": "b", "quorum": "yes"}, "quorum must be a bool"),
        ({"name": "a", "bucket": "b", "bandwidth": True}, "bandwidth must be a int"),
        ({"name": "a", "bucket": "b", "lock": "forever", "lock_days": 1}, "governance or compliance"),
        ({"name": "a", "bucket": "b", "lock": "governance"}, "belong together"),
        ({"name": "a", "bucket": "b", "tags": {"n": 1}}, "strings"),
    ],
)
def test_a_table_that_is_wrong_is_said(table: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        from_tables([table])


def test_two_of_one_name_are_said() -> None:
    with pytest.raises(UsageError, match="two destinations"):
        from_tables([{"name": "a", "bucket": "b"}, {"name": "a", "bucket": "c"}])
