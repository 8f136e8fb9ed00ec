"""What AWS charges in us-east-1, per unit, without its free tiers and without taxes.

List prices for use on demand, as known on 26 November 2026. Each names the page of AWS that it is from, and
where its figure was read: AWS writes most of them into its pages by script, so a copy of a page rarely has
them. Other regions differ by up to a third, the ratios between the lines hardly.
"""

from msgspec import Struct

AS_OF = "26 November 2026"
REGION = "us-east-1"


class Price(Struct, frozen=True):
    """US dollars for one unit."""

    usd: float
    unit: str
    page: str
    read: str = ""
    """Where the figure was read, and of when that is. Empty: from memory of the page."""


_ELB = "Elastic Load Balancing pricing"
_VPC = "Amazon VPC pricing"
_PRIVATELINK = "AWS PrivateLink pricing"
_TRANSFER = "Amazon EC2 on-demand pricing, data transfer"
_FARGATE = "AWS Fargate pricing"
_KINESIS = "Amazon Kinesis Data Streams pricing"
_LAMBDA = "AWS Lambda pricing"
_DYNAMODB = "Amazon DynamoDB pricing for on-demand capacity"
_ELASTICACHE = "Amazon ElastiCache pricing"
_CLOUDWATCH = "Amazon CloudWatch pricing"
_WAF = "AWS WAF pricing"

_THAT_PAGE = "that page, its examples, September 2026"
_LEANOPS = "leanopstech.com, data transfer pricing, April 2026"
_CLOUDWATCH_COPY = "api-evangelist/cloudwatch, from that page, May 2026"
_AIRBYTE = "airbyte.com, DynamoDB pricing, July 2025"
_FORTEM = "fortem.dev, Fargate Spot, 2026"
_C3X = "c3x.dev, AWS WAF cost, 2026"

BALANCER = Price(0.0225, "hour", _ELB, _THAT_PAGE)
BALANCER_CAPACITY = Price(0.008, "LCU-hour", _ELB, _THAT_PAGE)
PUBLIC_ADDRESS = Price(0.005, "hour", _VPC, "AWS Networking blog, public IPv4 addresses, February 2024")
NAT = Price(0.045, "hour", _VPC, _LEANOPS)
NAT_DATA = Price(0.045, "GB", _VPC, _LEANOPS)
ENDPOINT = Price(0.01, "hour and zone", _PRIVATELINK)
ENDPOINT_DATA = Price(0.01, "GB", _PRIVATELINK, _LEANOPS)
BETWEEN_ZONES = Price(0.01, "GB into a task from another zone", _TRANSFER, _LEANOPS)
DATA_OUT = Price(0.09, "GB", _TRANSFER, _LEANOPS)
VCPU = Price(0.03238, "vCPU-hour, arm64", _FARGATE, _FORTEM)
MEMORY = Price(0.00356, "GB-hour, arm64", _FARGATE, _FORTEM)
SHARD = Price(0.015, "shard-hour", _KINESIS)
PUT_UNIT = Price(0.014e-6, "PUT payload unit of 25 KB", _KINESIS)
LONGER_RETENTION = Price(0.02, "shard-hour past 24 h of retention", _KINESIS)
FAN_OUT = Price(0.015, "consumer-shard-hour", _KINESIS)
FAN_OUT_DATA = Price(0.013, "GB by enhanced fan-out", _KINESIS)
ON_DEMAND_STREAM = Price(0.04, "stream-hour, on demand", _KINESIS)
ON_DEMAND_IN = Price(0.08, "GB in, on demand, records rounded up to 1 KB", _KINESIS)
ON_DEMAND_OUT = Price(0.04, "GB out, on demand", _KINESIS)
ON_DEMAND_KEPT = Price(0.10, "GB-month past 24 h of retention, on demand", _KINESIS)
INVOCATION = Price(0.20e-6, "invocation", _LAMBDA)
FUNCTION_MEMORY = Price(0.0000133334, "GB-second, arm64", _LAMBDA, "cloudchipr.com, Lambda pricing, 2024")
WRITE_UNIT = Price(0.625e-6, "write request unit of 1 KB", _DYNAMODB, _AIRBYTE)
READ_UNIT = Price(0.125e-6, "read request unit of 4 KB", _DYNAMODB, _AIRBYTE)
TABLE_STORAGE = Price(0.25, "GB-month", _DYNAMODB)
TABLE_BACKUP = Price(0.20, "GB-month, point-in-time recovery", _DYNAMODB)
LOG_IN = Price(0.50, "GB taken in", _CLOUDWATCH, _CLOUDWATCH_COPY)
LOG_KEPT = Price(0.03, "GB-month", _CLOUDWATCH, _CLOUDWATCH_COPY)
METRIC = Price(0.30, "custom metric and month", _CLOUDWATCH, _CLOUDWATCH_COPY)
ALARM_METRIC = Price(0.10, "metric of an alarm and month", _CLOUDWATCH, _CLOUDWATCH_COPY)
DASHBOARD = Price(3.00, "dashboard and month", _CLOUDWATCH, "factualminds.com, CloudWatch pricing, June 2026")
LIST = Price(5e-6, "LIST request", "Amazon S3 pricing")
SECRET = Price(0.40, "secret and month", "AWS Secrets Manager pricing", _THAT_PAGE)
KMS_CALL = Price(3e-6, "call", "AWS Key Management Service pricing")
WAF_LIST = Price(5.00, "web ACL and month", _WAF, _C3X)
WAF_RULE = Price(1.00, "rule and month", _WAF, _C3X)
WAF_REQUEST = Price(0.60e-6, "request", _WAF, _C3X)

SPOT_DISCOUNT = 0.50
"""What a Spot task costs less, at least. It moves with supply, by region: up to 70 % (AWS Fargate pricing),
from 50 % on by those who watch it (fortem.dev, Fargate Spot, 2026)."""
VALKEY_DISCOUNT = 0.20
"""What a node of Valkey costs less than one of Redis OSS (Amazon ElastiCache pricing)."""
NODES = {
    "cache.t4g.micro": Price(0.016, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.t4g.small": Price(0.032, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.t4g.medium": Price(0.065, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.m7g.large": Price(0.158, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.r7g.large": Price(0.219, "node-hour, Redis OSS", _ELASTICACHE),
}
