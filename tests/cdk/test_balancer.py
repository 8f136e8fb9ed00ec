import fnmatch
import json
import re

import pytest
from sanic import Sanic

from cdk.balancer import PATHS
from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly, Properties
from tracker.app import create_app
from tracker.settings import TrackerSettings

LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0190e8a3-6a1c-7000-8000-000000000001"
SETTINGS = TrackerSettings(
    event_stream="e", update_stream="u", events_table="e", programs_table="p", totals_table="t"
)


def attributes(properties: Properties, kind: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in properties[kind]}


def passed_on(assembly: Assembly) -> list[str]:
    """The path patterns that reach a tracker."""
    return [
        path
        for rule in assembly.all(RULE)
        for condition in rule["Conditions"]
        for path in condition["PathPatternConfig"]["Values"]
    ]


@pytest.fixture(scope="module")
def served() -> list[str]:
    """Every path of the tracker, with a word for each parameter."""
    app = create_app(SETTINGS)
    Sanic.unregister_app(app)  # or no test after this one could make a tracker
    return ["/" + re.sub("<[^>]*>", "x", route.path) for route in app.router.routes]


def test_what_the_tracker_serves_gets_through(assembly: Assembly, served: list[str]) -> None:
    for path in served:
        through = any(fnmatch.fnmatchcase(path, pattern) for pattern in passed_on(assembly))

        assert through or path == "/metrics", path


def test_metrics_are_not_for_everybody(assembly: Assembly) -> None:
    assert not any(fnmatch.fnmatchcase("/metrics", pattern) for pattern in passed_on(assembly))


def test_all_else_is_404(assembly: Assembly) -> None:
    (default,) = assembly.one(LISTENER)["DefaultActions"]
    answer = default["FixedResponseConfig"]

    assert default["Type"] == "fixed-response"
    assert answer["StatusCode"] == "404"
    assert json.loads(answer["MessageBody"])["reason"] == "not_found"


def test_the_balancer_faces_the_internet(assembly: Assembly) -> None:
    balancer = assembly.one(BALANCER)
    set_to = attributes(balancer, "LoadBalancerAttributes")

    assert balancer["Scheme"] == "internet-facing"
    assert all("Public" in each for each in assembly.resolved(balancer["Subnets"]))
    assert set_to["routing.http.drop_invalid_header_fields.enabled"] == "true"


def test_the_balancer_lets_a_connection_go_before_the_tracker_does(assembly: Assembly) -> None:
    idle_s = int(attributes(assembly.one(BALANCER), "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])

    assert idle_s * 1_000 < SETTINGS.keep_alive_timeout_ms


def test_a_task_is_let_go_once_its_requests_are_answered(assembly: Assembly) -> None:
    targets = assembly.one(TARGETS)
    delay_s = int(attributes(targets, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])

    assert targets["HealthCheckPath"] == "/health/ready"
    assert SETTINGS.apply_timeout_ms <= delay_s * 1_000 < 60_000


def test_plain_http_until_there_is_a_certificate(assembly: Assembly) -> None:
    assert assembly.one(LISTENER)["Protocol"] == "HTTP"


@pytest.fixture(scope="module")
def secure(synthesise: Synthesis) -> Assembly:
    return synthesise({"tracker.certificateArn": CERTIFICATE, "tracker.requestsPerAddress5Minutes": "2000"})


def test_with_a_certificate_plain_http_is_sent_to_https(secure: Assembly) -> None:
    listeners = {each["Port"]: each for each in secure.all(LISTENER)}

    assert listeners[443]["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    assert "TLS13" in listeners[443]["SslPolicy"]
    assert listeners[443]["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "404"
    assert listeners[80]["DefaultActions"][0]["RedirectConfig"]["Protocol"] == "HTTPS"
    assert len(secure.all(RULE)) == len(PATHS)


def test_what_a_request_says_of_its_sender_is_kept_by_nobody_on_the_way_unless_asked_for(
    assembly: Assembly, secure: Assembly, synthesise: Synthesis
) -> None:
    logging = synthesise({"tracker.accessLogs": "true"})

    assert "access_logs.s3.enabled" not in attributes(assembly.one(BALANCER), "LoadBalancerAttributes")
    assert attributes(logging.one(BALANCER), "LoadBalancerAttributes")["access_logs.s3.enabled"] == "true"
    limits = secure.one("AWS::WAFv2::WebACL")
    for each in (limits, *limits["Rules"]):
        assert each["VisibilityConfig"]["SampledRequestsEnabled"] is False


def test_an_address_that_asks_too_often_is_refused(secure: Assembly) -> None:
    (rule,) = secure.one("AWS::WAFv2::WebACL")["Rules"]

    assert rule["Statement"]["RateBasedStatement"]["Limit"] == 2_000
    assert rule["Action"] == {"Block": {}}
    assert len(secure.all("AWS::WAFv2::WebACLAssociation")) == 1


def test_nobody_pays_for_a_waf_unasked(assemblies: dict[str, Assembly]) -> None:
    for name, assembly in assemblies.items():
        assert assembly.all("AWS::WAFv2::WebACL") == [], name
