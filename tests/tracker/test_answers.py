"""When an answer is compressed."""

import gzip

import pytest

from tracker.answers import gzipped, wants_gzip


@pytest.mark.parametrize(
    "accepted", ["gzip", "GZIP", "deflate, gzip", "gzip;q=0.5, br", "br;q=1.0, gzip; q=1"]
)
def test_gzip_is_used_where_it_is_named(accepted: str) -> None:
    assert wants_gzip(accepted)


@pytest.mark.parametrize("accepted", [None, "", "identity", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip-like"])
def test_gzip_is_not_used_where_it_is_not_named_or_refused(accepted: str | None) -> None:
    assert not wants_gzip(accepted)


@pytest.mark.parametrize("size", [0, 1, 300, 4_096, 4_097, 100_000])
def test_what_is_compressed_is_gzip_of_any_size(size: int) -> None:
    body = (b'{"a":%d}' * size)[:size]

    assert gzip.decompress(gzipped(body)) == body
