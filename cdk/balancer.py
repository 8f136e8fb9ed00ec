"""The public entrance: a load balancer that passes on the tracker's paths and answers 404 to all others."""

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from cdk import profiles
from cdk.network import HTTP_PORT, HTTPS_PORT, TRACKER_PORT, Network
from cdk.review import accept

PATHS = {
    "Events": ("/event/*", "/events", "/events/*", "/beacon", "/t.js"),
    "Visits": ("/pixel/*", "/click/*", "/postback/*"),
    "Programs": ("/programs", "/programs/*", "/cache/*", "/health/*"),
    "Front": ("/",),
    "Live": ("/live", "/live/*", "/docs", "/docs/*", "/openapi.json"),
}
"""What clients may ask for, at most five paths a rule. /metrics is not among them."""
IDLE_TIMEOUT_S = 60
"""Less than the tracker keeps a connection: it must never close one that a request is on its way to."""
NOT_FOUND = '{"title":"Not Found","status":404,"reason":"not_found","type":"about:blank"}'


class Balancer(Construct):
    """An application load balancer with one target group, over HTTPS where there is a certificate."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        logs: s3.IBucket,
        profile: profiles.Tracker,
        drain_s: int,
    ) -> None:
        super().__init__(scope, id)
        self._secure = bool(profile.certificate_arn)
        self.balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            internet_facing=True,
            security_group=network.balancer,
            drop_invalid_header_fields=True,
            idle_timeout=Duration.seconds(IDLE_TIMEOUT_S),
        )
        if profile.access_logs:
            self.balancer.log_access_logs(logs, "balancer")
        else:
            accept(
                self.balancer, "AwsSolutions-ELB2", "They would hold what programs' privacy lets nobody keep."
            )
        self.targets = elb.ApplicationTargetGroup(
            self,
            "Tasks",
            vpc=network.vpc,
            target_type=elb.TargetType.IP,
            protocol=elb.ApplicationProtocol.HTTP,
            port=TRACKER_PORT,
            deregistration_delay=Duration.seconds(drain_s),
            load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=elb.HealthCheck(
                path="/health/ready",
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=2,
            ),
        )
        self._pass_on(self._listener(profile.certificate_arn))
        if profile.requests_per_address_5_minutes:
            self._limit(profile.requests_per_address_5_minutes)

    @property
    def host(self) -> str:
        return self.balancer.load_balancer_dns_name

    @property
    def url(self) -> str:
        return f"{'https' if self._secure else 'http'}://{self.host}"

    def _listener(self, certificate_arn: str) -> elb.ApplicationListener:
        """Where requests come in; plain HTTP is sent there too."""
        not_found = elb.ListenerAction.fixed_response(
            404, content_type="application/json", message_body=NOT_FOUND
        )
        if not certificate_arn:
            return self.balancer.add_listener(
                "Http",
                port=HTTP_PORT,
                protocol=elb.ApplicationProtocol.HTTP,
                open=False,
                default_action=not_found,
            )
        self.balancer.add_redirect(source_port=HTTP_PORT, target_port=HTTPS_PORT, open=False)
        return self.balancer.add_listener(
            "Https",
            port=HTTPS_PORT,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=[elb.ListenerCertificate.from_arn(certificate_arn)],
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            open=False,
            default_action=not_found,
        )

    def _pass_on(self, listener: elb.ApplicationListener) -> None:
        for priority, (name, paths) in enumerate(PATHS.items(), start=1):
            listener.add_action(
                name,
                priority=priority,
                conditions=[elb.ListenerCondition.path_patterns(list(paths))],
                action=elb.ListenerAction.forward([self.targets]),
            )

    def _limit(self, requests: int) -> None:
        acl = waf.CfnWebACL(
            self,
            "Limits",
            scope="REGIONAL",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_seen_as("limits"),
            rules=[
                waf.CfnWebACL.RuleProperty(
                    name="per-address",
                    priority=0,
                    action=waf.CfnWebACL.RuleActionProperty(block={}),
                    visibility_config=_seen_as("per-address"),
                    statement=waf.CfnWebACL.StatementProperty(
                        rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(
                            aggregate_key_type="IP", evaluation_window_sec=300, limit=requests
                        )
                    ),
                )
            ],
        )
        waf.CfnWebACLAssociation(
            self,
            "LimitsOfBalancer",
            resource_arn=self.balancer.load_balancer_arn,
            web_acl_arn=acl.attr_arn,
        )


def _seen_as(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    """In numbers alone: a sample would be a request with all that it says of its sender."""
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
