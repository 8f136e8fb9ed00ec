from ipaddress import ip_network

from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly, Properties

GATEWAYS = {"dynamodb", "s3"}
INTERFACES = {"kinesis-streams", "ecr.api", "ecr.dkr", "logs", "secretsmanager"}


def groups(assembly: Assembly) -> dict[str, Properties]:
    """Security groups by the part they are of."""
    return {
        each["Properties"]["GroupDescription"].rpartition(" ")[2]: each["Properties"]
        for each in assembly.resources("AWS::EC2::SecurityGroup").values()
    }


def admitted(assembly: Assembly, name: str) -> set[tuple[str, int]]:
    """From where, and at which port. A group goes by the part it is of."""
    parts = {
        f"{name.partition('/')[2]}.GroupId": each["Properties"]["GroupDescription"].rpartition(" ")[2]
        for name, each in assembly.resources("AWS::EC2::SecurityGroup").items()
    }
    return {
        (range_of(rule) or parts[assembly.resolved(rule["SourceSecurityGroupId"])], rule["FromPort"])
        for rule in groups(assembly)[name].get("SecurityGroupIngress", [])
    }


def range_of(rule: Properties) -> str | None:
    """Of addresses, where it does not name a group."""
    return rule.get("CidrIp") or rule.get("CidrIpv6")


def endpoints(assembly: Assembly, kind: str) -> set[str]:
    names = [
        str(assembly.resolved(each["ServiceName"])).removeprefix("com.amazonaws.us-east-1.")
        for each in assembly.all("AWS::EC2::VPCEndpoint")
        if each["VpcEndpointType"] == kind
    ]
    return set(names)


def test_subnets_are_public_and_private_over_several_zones(assembly: Assembly) -> None:
    subnets = assembly.all("AWS::EC2::Subnet")
    zones = {str(each["AvailabilityZone"]) for each in subnets}
    kinds = {tag["Value"] for each in subnets for tag in each["Tags"] if tag["Key"] == "aws-cdk:subnet-name"}

    assert len(zones) >= 2
    assert kinds == {"Public", "Private"}
    assert len(subnets) == 2 * len(zones)
    assert not any(ip_network(a["CidrBlock"]).overlaps(ip_network(b["CidrBlock"])) for a, b in pairs(subnets))


def pairs(subnets: list[Properties]) -> list[tuple[Properties, Properties]]:
    return [(a, b) for number, a in enumerate(subnets) for b in subnets[:number]]


def test_nobody_gets_a_public_address_unasked(assembly: Assembly) -> None:
    assert not any(each.get("MapPublicIpOnLaunch") for each in assembly.all("AWS::EC2::Subnet"))


def test_dynamodb_and_s3_are_reached_for_nothing(assembly: Assembly) -> None:
    assert endpoints(assembly, "Gateway") == GATEWAYS


def test_without_nat_there_is_no_way_out_but_to_the_services_in_use(assemblies: dict[str, Assembly]) -> None:
    standard = assemblies["standard"]

    assert endpoints(standard, "Interface") == INTERFACES
    assert private_routes(standard) == set()
    assert standard.all("AWS::EC2::NatGateway") == []


def test_each_zone_may_have_a_nat_gateway_and_then_there_are_no_interface_endpoints_to_pay(
    synthesise: Synthesis,
) -> None:
    changed = synthesise({"network.egress": "nat", "network.natGateways": "2"})

    assert endpoints(changed, "Interface") == set()
    assert len(changed.all("AWS::EC2::NatGateway")) == 2
    assert private_routes(changed) == {("NatGatewayId", "0.0.0.0/0")}


def test_public_tasks_need_neither_gateway_nor_interface_endpoints(assemblies: dict[str, Assembly]) -> None:
    small = assemblies["small"]

    assert endpoints(small, "Interface") == set()
    assert small.all("AWS::EC2::NatGateway") == []


def test_beside_public_tasks_what_is_private_gets_out_over_ipv6_and_nobody_in(
    assemblies: dict[str, Assembly],
) -> None:
    small = assemblies["small"]
    out = {
        name: rule["CidrIpv6"]
        for name, each in groups(small).items()
        for rule in each["SecurityGroupEgress"]
        if "CidrIpv6" in rule
    }

    assert private_routes(small) == {("EgressOnlyInternetGatewayId", "::/0")}
    assert out == {"Refresh": "::/0"}
    assert not any(
        each.get("AssignIpv6AddressOnCreation") for name, each in subnets_by_name(small) if "Public" in name
    )


def private_routes(assembly: Assembly) -> set[tuple[str, str]]:
    """What leads out of private subnets, and where to."""
    routes = [
        each["Properties"]
        for name, each in assembly.resources("AWS::EC2::Route").items()
        if "Private" in name
    ]
    return {
        (way, each.get("DestinationCidrBlock") or each["DestinationIpv6CidrBlock"])
        for each in routes
        for way in each
        if way.endswith("GatewayId")
    }


def subnets_by_name(assembly: Assembly) -> list[tuple[str, Properties]]:
    return [(name, each["Properties"]) for name, each in assembly.resources("AWS::EC2::Subnet").items()]


def test_a_subnet_of_public_tasks_has_room_for_them(assemblies: dict[str, Assembly]) -> None:
    prefixes = {
        (profile, str(each["CidrBlock"]).partition("/")[2])
        for profile, assembly in assemblies.items()
        for name, each in subnets_by_name(assembly)
        if "Public" in name
    }

    assert prefixes == {("small", "24"), ("standard", "26"), ("large", "26")}


def test_the_load_balancer_alone_is_open_to_the_world(assembly: Assembly) -> None:
    open_to_all = {name for name in groups(assembly) if any(map(range_of, ingress(assembly, name)))}

    assert open_to_all == {"Balancer"}
    assert admitted(assembly, "Balancer") == {("0.0.0.0/0", 80), ("0.0.0.0/0", 443)}


def ingress(assembly: Assembly, name: str) -> list[Properties]:
    rules: list[Properties] = groups(assembly)[name].get("SecurityGroupIngress", [])
    return rules


def test_tasks_are_reached_by_the_load_balancer_alone(assembly: Assembly) -> None:
    assert admitted(assembly, "Tracker") == {("Balancer", 8080)}
    assert admitted(assembly, "Workers") == admitted(assembly, "Refresh") == set()


def test_redis_is_reached_by_our_services_alone(assembly: Assembly) -> None:
    assert admitted(assembly, "Redis") == {("Tracker", 6379), ("Workers", 6379), ("Refresh", 6379)}


def test_no_rule_is_added_from_elsewhere(assembly: Assembly) -> None:
    assert assembly.all("AWS::EC2::SecurityGroupIngress") == []
    assert assembly.all("AWS::EC2::SecurityGroupEgress") == []


def test_what_goes_out_is_limited(assembly: Assembly) -> None:
    for name, each in groups(assembly).items():
        out = {(range_of(rule), rule["FromPort"]) for rule in each["SecurityGroupEgress"]}

        assert out <= {
            ("0.0.0.0/0", 443),
            ("::/0", 443),
            ("10.0.0.0/16", 6379),
            ("10.0.0.0/16", 8080),
            ("255.255.255.255/32", 252),
        }, name


def test_what_is_refused_is_logged(assembly: Assembly) -> None:
    assert assembly.one("AWS::EC2::FlowLog")["TrafficType"] == "REJECT"
