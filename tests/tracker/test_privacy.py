from ipaddress import ip_address
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.programs import Privacy
from tracker.privacy import Signals, Traces, allows_cookie, kept, origin_of, policy_for, read_origin

POLICIES: tuple[Privacy, ...] = ("full", "truncate", "anonymous")
GPC, DNT = Signals(global_privacy_control=True), Signals(do_not_track=True)
TRACES = Traces(
    ip_address("203.0.113.77"), "Mozilla/5.0 Firefox/140.0", "visitor-1", "https://news.example/a?b=c"
)

policies = st.sampled_from(POLICIES)
signals = st.builds(Signals, st.booleans(), st.booleans())


def reduced(traces: Traces, policy: Privacy) -> Traces:
    return kept(
        traces,
        policy,
        family=lambda agent: f"family of {len(agent)}",
        hashed=lambda name: f"hash of {len(name)}",
    )


@pytest.mark.parametrize(
    ("program", "sent", "policy"),
    [
        ("full", Signals(), "full"),
        ("full", DNT, "truncate"),
        ("full", GPC, "anonymous"),
        ("truncate", Signals(), "truncate"),
        ("truncate", DNT, "truncate"),
        ("truncate", GPC, "anonymous"),
        ("anonymous", Signals(), "anonymous"),
        ("anonymous", DNT, "anonymous"),
        ("anonymous", GPC, "anonymous"),
        ("full", Signals(True, True), "anonymous"),
    ],
)
def test_a_signal_tightens_a_policy(program: Privacy, sent: Signals, policy: Privacy) -> None:
    assert policy_for(program, sent) == policy


@given(policies, signals)
def test_a_signal_never_loosens_a_policy(program: Privacy, sent: Signals) -> None:
    assert POLICIES.index(policy_for(program, sent)) >= POLICIES.index(program)


def test_what_each_policy_keeps() -> None:
    assert reduced(TRACES, "full") == TRACES
    assert reduced(TRACES, "truncate") == Traces(
        ip_address("203.0.113.0"), "family of 25", "hash of 9", "https://news.example/"
    )
    assert reduced(TRACES, "anonymous") == Traces(None, None, None, "https://news.example/")


@pytest.mark.parametrize("policy", POLICIES)
def test_of_nothing_nothing_is_kept(policy: Privacy) -> None:
    assert reduced(Traces(), policy) == Traces()


def test_a_trace_is_kept_unless_nothing_of_its_sender_is() -> None:
    sent = Traces(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

    assert reduced(sent, "full") == reduced(sent, "truncate") == sent
    assert reduced(sent, "anonymous") == Traces()


def test_only_where_everything_is_kept_a_visitor_is_given_a_cookie() -> None:
    assert [policy for policy in POLICIES if allows_cookie(policy)] == ["full"]


@given(st.text(), st.text(min_size=12), st.text(min_size=12))
def test_whatever_was_sent_only_the_rule_decides_what_is_left(
    referrer: str, agent: str, visitor: str
) -> None:
    traces = Traces(ip_address("203.0.113.77"), agent, visitor, referrer)

    for policy, name in product(("truncate", "anonymous"), ("address", "user_agent", "visitor")):
        value = getattr(reduced(traces, policy), name)  # type: ignore[arg-type]
        assert value is None or value != getattr(traces, name)


@pytest.mark.parametrize(
    ("referrer", "origin"),
    [
        ("https://news.example/a/b?c=d#e", "https://news.example/"),
        ("http://news.example", "http://news.example/"),
        ("https://news.example:8443/a", "https://news.example:8443/"),
        ("https://user:secret@news.example/", "https://news.example/"),
        ("https://NEWS.example/", "https://news.example/"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/"),
        ("android-app://com.example/", None),
        ("data:text/html,visitor-1", None),
        ("visitor-1", None),
        ("", None),
        ("//news.example/a", None),
        ("https:///visitor-1", None),
        ("https://news.example:visitor-1/", None),
        ("https://[visitor-1", None),
    ],
)
def test_the_origin_of_a_referrer(referrer: str, origin: str | None) -> None:
    assert origin_of(referrer) == origin


@given(st.text("htps:/?#.a1-@A[]\n\x00ü", max_size=12).map("https://".__add__))
def test_an_origin_read_fast_is_the_one_read_in_full(referrer: str) -> None:
    assert origin_of(referrer) == read_origin(referrer)


@given(st.text())
def test_no_referrer_is_an_error(referrer: str) -> None:
    origin = origin_of(referrer)

    assert origin is None or origin.startswith("http")
