import pytest

from schemas.destinations import MACROS, destination_problem, is_web_origin


@pytest.mark.parametrize(
    "destination",
    [
        "https://shop.example/",
        "http://shop.example",
        "HTTPS://SHOP.EXAMPLE/Landing",
        "https://shop.example:8443/a?b=c&d=%20#e",
        "https://192.0.2.1/",
        "https://[2001:db8::1]:443/",
        "https://shop.example/{program_id}/a?click={click_id}&click={click_id}#{visitor}",
        "https://shop.example?{visitor}",
        "https://shop.example/}{",
    ],
)
def test_a_destination_is_an_absolute_web_address(destination: str) -> None:
    assert destination_problem(destination) is None


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "/landing",
        "shop.example",
        "//shop.example/",
        "https:shop.example",
        "https:///landing",
        "https://:443/",
        "https://user@/",
        "ftp://shop.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://[::1",
        "https://shop.example:port/",
        "https://shop.example:65536/",
        " https://shop.example/",
        "https://shop.example/ ",
        "https://shop.example/a b",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/\t",
        "https://shop.example/\x00",
        "https://shop.example/\u2028",
        "https://shop.example\\@evil.example/",
        "{visitor}://shop.example/",
        "https:{visitor}/landing",
    ],
)
def test_any_other_destination_is_refused(destination: str) -> None:
    assert destination_problem(destination) == "must be an absolute http or https URL"


@pytest.mark.parametrize(
    "destination",
    [
        "https://{visitor}/",
        "https://{click_id}.shop.example/",
        "https://shop.example{visitor}/",
        "https://{visitor}@shop.example/",
        "https://user:{visitor}@shop.example/",
        "https://{visitor",
    ],
)
@pytest.mark.parametrize("end", ["", "?a={visitor}"])
def test_a_macro_never_decides_where_a_click_goes(destination: str, end: str) -> None:
    assert destination_problem(destination + end) == "takes macros in its path, query or fragment only"


@pytest.mark.parametrize("macro", ["{clickid}", "{}", "{Visitor}", "{{other}}"])
def test_a_macro_nobody_fills_in_is_refused_by_name(macro: str) -> None:
    problem = destination_problem(f"https://shop.example/{macro}?a={{click_id}}")

    assert problem is not None
    assert problem.startswith("knows the macros {click_id}, {program_id}, {visitor}; not {")
    assert macro.strip("{}") in problem


def test_the_macros_are_a_closed_set() -> None:
    assert set(MACROS) == {"click_id", "program_id", "visitor"}


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example",
        "http://localhost:8000",
        "https://shop.example:80",
        "http://192.0.2.1",
        "https://[2001:db8::1]:8443",
        "https://xn--bcher-kva.example",
    ],
)
def test_an_origin_is_what_a_browser_sends(origin: str) -> None:
    assert is_web_origin(origin)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "shop.example",
        "https://",
        "https://*",
        "https://shop.example/",
        "https://shop.example/path",
        "https://shop.example?",
        "https://shop.example#",
        "https://shop.example:",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://shop.example:65536",
        "HTTPS://shop.example",
        "https://Shop.example",
        "https://b\u00fccher.example",
        "https://user@shop.example",
        "https://shop.example https://news.example",
        "ftp://shop.example",
        "https://shop.example\n",
    ],
)
def test_anything_else_is_no_origin(text: str) -> None:
    assert not is_web_origin(text)
