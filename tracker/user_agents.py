"""User agents: the family one belongs to, and whether it says that it is a bot."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser import Parser
from ua_parser import UserAgent as Found
from ua_parser.core import Matcher
from ua_parser.lazy import UserAgentMatcher
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

NO_BOTS = frozenset({"http-library"})
"""Tags of the list that are no bots here: a server that reports a conversion is one of these."""
MAIL_PROXIES = re.compile("GoogleImageProxy|YahooMailProxy")
"""They fetch a pixel when someone opens a mail, so that is a view (though the list has them)."""
HEALTH_CHECKERS = (
    "ELB-HealthChecker/",  # Elastic Load Balancing User Guide, "Health checks for your target groups"
    "Amazon-Route53-Health-Check-Service",  # Amazon Route 53 Developer Guide, "Health checks"
    "GoogleHC/",  # Google Cloud documentation, "Health checks overview"
    "kube-probe/",  # Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes"
    "Consul Health Check",
    "Envoy/HC",
)
"""Those that the list lacks."""
FAMILY_MAX_CHARS = 64


class UserAgent(NamedTuple):
    """What a user agent's text tells: `Firefox`, `Mobile Safari`, `curl`; None where nobody knows it."""

    family: str | None
    is_bot: bool


class UserAgents:
    """Reads user agents by two kept lists: families by uap-core, bots by crawler-user-agents.

    A text not met lately takes some 10 us, one met lately next to nothing; the last `remembered` are
    kept, up to some 1.5 KB each. Both lists are compiled once in a process, to some 16 MB.
    """

    def __init__(self, *, remembered: int) -> None:
        _parsers()
        self._read = lru_cache(maxsize=remembered)(read_user_agent)

    def read(self, text: str) -> UserAgent:
        return self._read(text)

    def family(self, text: str) -> str | None:
        return self._read(text).family


def read_user_agent(text: str) -> UserAgent:
    """Reads one text anew."""
    families, bots = _parsers()
    found = families.parse_user_agent(text)
    is_bot = bots.parse_user_agent(text) is not None and not MAIL_PROXIES.search(text)
    return UserAgent(found.family[:FAMILY_MAX_CHARS] if found else None, is_bot)


@cache
def _parsers() -> tuple[Parser, Parser]:
    listed = [entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA if NO_BOTS.isdisjoint(entry["tags"])]
    bots = [UserAgentMatcher(pattern, "bot") for pattern in (*listed, *map(re.escape, HEALTH_CHECKERS))]
    families, _, _ = load_lazy_builtins()
    return _parser(families), _parser([*bots])


def _parser(matchers: list[Matcher[Found]]) -> Parser:
    return Parser(Resolver((matchers, [], [])))
