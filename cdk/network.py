"""The network: a VPC over several zones, ways out of it, and who may talk to whom."""

from collections.abc import Sequence

from aws_cdk import Fn
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk import profiles
from cdk.log_group import log_group
from cdk.review import accept

ANYWHERE = "0.0.0.0/0"
ANYWHERE_IPV6 = "::/0"
HTTP_PORT, HTTPS_PORT, REDIS_PORT, TRACKER_PORT = 80, 443, 6379, 8080
TASK_MASK, BALANCER_MASK = 24, 26
"""How large a subnet is that tasks are in, and one with the load balancer alone."""
SERVICES = {
    "Kinesis": ec2.InterfaceVpcEndpointAwsService.KINESIS_STREAMS,
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrImages": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Secrets": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
}
"""What the parts call besides DynamoDB and S3, whose gateway endpoints cost nothing."""

Ingress = ec2.CfnSecurityGroup.IngressProperty
Egress = ec2.CfnSecurityGroup.EgressProperty
NOWHERE = Egress(ip_protocol="icmp", from_port=252, to_port=86, cidr_ip="255.255.255.255/32")
"""A group without a rule for what goes out would let everything out."""


class Network(Construct):
    """The VPC, and a security group for each part: every rule between parts is in this file."""

    def __init__(
        self, scope: Construct, id: str, *, profile: profiles.Network, log_days: profiles.LogDays
    ) -> None:
        super().__init__(scope, id)
        self._profile = profile
        self.vpc = self._vpc()
        self.vpc.add_flow_log(
            "Refused",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group(self, "RefusedLog", log_days)),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        self.balancer = self._group(
            "Balancer",
            ingress=[_from_anywhere(HTTP_PORT), _from_anywhere(HTTPS_PORT)],
            egress=[_to(profile.cidr, TRACKER_PORT)],
        )
        to_aws_and_redis = [_to(ANYWHERE, HTTPS_PORT), _to(profile.cidr, REDIS_PORT)]
        self.tracker = self._group(
            "Tracker", ingress=[_from(self.balancer, TRACKER_PORT)], egress=to_aws_and_redis
        )
        self.workers = self._group("Workers", egress=to_aws_and_redis)
        over_ipv6 = [_to_ipv6(HTTPS_PORT)] if self.is_public else []
        self.refresh = self._group("Refresh", egress=[*to_aws_and_redis, *over_ipv6])
        clients = (self.tracker, self.workers, self.refresh)
        self.redis = self._group("Redis", ingress=[_from(each, REDIS_PORT) for each in clients])
        if profile.egress == "endpoints":
            self._reach_aws(clients)

    @property
    def is_public(self) -> bool:
        """Whether tasks have public addresses of their own. What is private then gets out over IPv6."""
        return self._profile.egress == "public"

    @property
    def private_subnets(self) -> list[ec2.ISubnet]:
        """Where Redis and `refresh` are."""
        return list(self.vpc.select_subnets(subnet_group_name="Private").subnets)

    @property
    def task_subnets(self) -> list[ec2.ISubnet]:
        """Where tasks are. Wherever that is, their groups let nobody in but the load balancer."""
        return list(self.vpc.public_subnets) if self.is_public else self.private_subnets

    def _vpc(self) -> ec2.Vpc:
        zones = Fn.get_azs()
        nat = self._profile.egress == "nat"
        return ec2.Vpc(
            self,
            "Vpc",
            ip_protocol=ec2.IpProtocol.DUAL_STACK if self.is_public else ec2.IpProtocol.IPV4_ONLY,
            ip_addresses=ec2.IpAddresses.cidr(self._profile.cidr),
            availability_zones=[Fn.select(index, zones) for index in range(self._profile.zones)],
            nat_gateways=self._profile.nat_gateways if nat else 0,
            restrict_default_security_group=False,
            subnet_configuration=self._subnets(),
            gateway_endpoints={
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
            },
        )

    def _subnets(self) -> list[ec2.SubnetConfiguration]:
        """Nobody in them gets a public address unasked."""
        isolated = self._profile.egress == "endpoints"
        return [
            ec2.SubnetConfiguration(
                name="Public",
                subnet_type=ec2.SubnetType.PUBLIC,
                cidr_mask=TASK_MASK if self.is_public else BALANCER_MASK,
                map_public_ip_on_launch=False,
                ipv6_assign_address_on_creation=False if self.is_public else None,
            ),
            ec2.SubnetConfiguration(
                name="Private",
                subnet_type=ec2.SubnetType.PRIVATE_ISOLATED
                if isolated
                else ec2.SubnetType.PRIVATE_WITH_EGRESS,
                cidr_mask=TASK_MASK,
            ),
        ]

    def _reach_aws(self, clients: Sequence[ec2.ISecurityGroup]) -> None:
        endpoints = self._group("Endpoints", ingress=[_from(each, HTTPS_PORT) for each in clients])
        for name, service in SERVICES.items():
            self.vpc.add_interface_endpoint(
                name,
                service=service,
                subnets=ec2.SubnetSelection(subnets=self.private_subnets),
                security_groups=[endpoints],
                open=False,
            )

    def _group(
        self, name: str, *, ingress: Sequence[Ingress] = (), egress: Sequence[Egress] = (NOWHERE,)
    ) -> ec2.ISecurityGroup:
        """A group whose rules are complete: no other construct can add to them."""
        group = ec2.CfnSecurityGroup(
            self,
            name,
            group_description=f"{self.node.path} {name}",
            vpc_id=self.vpc.vpc_id,
            security_group_ingress=list(ingress),
            security_group_egress=list(egress),
        )
        if any(rule.cidr_ip == ANYWHERE for rule in ingress):
            accept(group, "AwsSolutions-EC23", "The load balancer is the public entrance of the system.")
        return ec2.SecurityGroup.from_security_group_id(
            self, f"{name}Group", group.attr_group_id, mutable=False
        )


def _from_anywhere(port: int) -> Ingress:
    return Ingress(ip_protocol="tcp", from_port=port, to_port=port, cidr_ip=ANYWHERE)


def _from(source: ec2.ISecurityGroup, port: int) -> Ingress:
    return Ingress(
        ip_protocol="tcp", from_port=port, to_port=port, source_security_group_id=source.security_group_id
    )


def _to(cidr: str, port: int) -> Egress:
    return Egress(ip_protocol="tcp", from_port=port, to_port=port, cidr_ip=cidr)


def _to_ipv6(port: int) -> Egress:
    return Egress(ip_protocol="tcp", from_port=port, to_port=port, cidr_ipv6=ANYWHERE_IPV6)
