"""When an answer is compressed."""

import pytest

from tracker.answers import wants_gzip


@pytest.mark.parametrize(
    "accepted", ["gzip", "GZIP", "deflate, gzip", "gzip;q=0.5, br", "br;q=1.0, gzip; q=1"]
)
def test_gzip_is_used_where_it_is_named(accepted: str) -> None:
    assert wants_gzip(accepted)


@pytest.mark.parametrize("accepted", [None, "", "identity", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip-like"])
def test_gzip_is_not_used_where_it_is_not_named_or_refused(accepted: str | None) -> None:
    assert not wants_gzip(accepted)
