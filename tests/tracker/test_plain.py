import pytest

from tests.abuse.wire import request
from tracker.plain import read_plain

HEADERS = b"Host: t\r\nUser-Agent: curl/8\r\nX-Empty:\r\n\r\n"


def test_a_plain_request_is_its_program_its_query_and_its_headers() -> None:
    read = read_plain(b"GET /event/212313?visitor=a%20b&x HTTP/1.1\r\n" + HEADERS)

    assert read is not None
    assert (read.program_id, read.query) == ("212313", "visitor=a%20b&x")
    assert read.headers == {"host": "t", "user-agent": "curl/8", "x-empty": ""}
    assert read.headers.getall("host", ()) == ("t",)
    assert read.headers.getall("x-forwarded-for", ()) == ()


@pytest.mark.parametrize(
    "data",
    [
        request(method="POST"),
        request(path="/event/a%2Fb"),
        request(path="/event/a/b"),
        request(path="/event/" + "a" * 65),
        request(path="/event/a#b"),
        request(path="http://tracker/event/a"),
        request("Content-Length: 0"),
        request("Transfer-Encoding: chunked"),
        request("Expect: 100-continue"),
        request("Upgrade: websocket"),
        request("Connection: close"),
        request("X-One: 1", "x-one: 2"),
        request("Host: another"),
        request("X-One : 1"),
        request("X-One: a\rb"),
        request("X-One: a\nb"),
        request("X-One: a\x00b"),
        request("X-One: 1", " folded"),
        request("no colon"),
        request()[:-1],
        request() + b"G",
        request() + request(),
        request().replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"GET /event/a HTTP/1.1\r\n\r\n",
        b"GET /event/a HTTP/1.1\r\nX-One: 1\r\n\r\n",
        b"",
    ],
)
def test_what_is_not_plain_is_for_sanic(data: bytes) -> None:
    assert read_plain(data) is None
