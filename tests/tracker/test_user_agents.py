import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from hypothesis import given
from hypothesis import strategies as st

from tracker.user_agents import MAIL_PROXIES, NO_BOTS, UserAgents, read_user_agent

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
PHONE = (
    "Mozilla/5.0 (Linux; Android 14; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    "text",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "WhatsApp/2.23",
        CHROME.replace("Chrome", "HeadlessChrome"),
        "UptimeRobot/2.0",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        "ELB-HealthChecker/2.0",
        "Amazon-Route53-Health-Check-Service (ref 1; report http://amzn.to/1vsZADi)",
        "GoogleHC/1.0",
        "kube-probe/1.29",
        "Consul Health Check",
        "Envoy/HC",
    ],
)
def test_crawlers_previews_and_health_checkers_are_bots(text: str) -> None:
    assert read_user_agent(text).is_bot


@pytest.mark.parametrize("text", [CHROME, PHONE, "", "nobody knows this", "x" * 1024, "(" * 1024])
def test_browsers_and_what_nobody_knows_are_none(text: str) -> None:
    assert not read_user_agent(text).is_bot


@pytest.mark.parametrize(
    "text",
    ["curl/7.54.0", "python-httpx/0.28.1", "okhttp/4.9.0", "Go-http-client/2.0", "Apache-HttpClient/4.5"],
)
def test_an_http_library_is_no_bot_since_servers_send_events_with_it(text: str) -> None:
    assert not read_user_agent(text).is_bot


@pytest.mark.parametrize(
    "text",
    [
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    ],
)
def test_whoever_opens_a_mail_through_a_proxy_is_no_bot(text: str) -> None:
    assert not read_user_agent(text).is_bot


def test_every_bot_that_the_list_knows_an_example_of_is_recognised() -> None:
    examples = [
        example
        for entry in CRAWLER_USER_AGENTS_DATA
        if NO_BOTS.isdisjoint(entry["tags"])
        for example in entry["instances"]
        if not MAIL_PROXIES.search(example)
    ]

    assert len(examples) > 1_000
    assert [example for example in examples if not read_user_agent(example).is_bot] == []


@pytest.mark.parametrize(
    ("text", "family"),
    [
        (CHROME, "Chrome"),
        (PHONE, "Chrome Mobile"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"),
        ("curl/7.54.0", "curl"),
        ("visitor-1/1.0 (203.0.113.7)", None),
        ("", None),
    ],
)
def test_a_family_says_neither_version_nor_device(text: str, family: str | None) -> None:
    assert read_user_agent(text).family == family


@given(st.text(max_size=200))
def test_no_user_agent_is_an_error_and_no_family_is_long(text: str) -> None:
    family = read_user_agent(text * 5).family

    assert family is None or len(family) <= 64


def test_what_was_read_lately_is_remembered_and_no_more() -> None:
    agents = UserAgents(remembered=2)

    first = [agents.read(CHROME), agents.read("curl/8"), agents.read(CHROME), agents.read("wget")]

    assert agents.read(CHROME) is first[0] is first[2]
    assert agents.read("curl/8") is not first[1]
    assert agents.family(CHROME) == "Chrome"
