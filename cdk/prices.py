"""What AWS charges in us-east-1, per unit, without its free tiers and without taxes.

List prices for use on demand, as of 22 November 2026. Each names the page that it is from. Other regions
differ by up to a third, the ratios between the lines hardly.
"""

from msgspec import Struct

AS_OF = "22 November 2026"
REGION = "us-east-1"


class Price(Struct, frozen=True):
    """US dollars for one unit."""

    usd: float
    unit: str
    page: str


_ELB = "Elastic Load Balancing pricing"
_VPC = "Amazon VPC pricing"
_PRIVATELINK = "AWS PrivateLink pricing"
_FARGATE = "AWS Fargate pricing"
_KINESIS = "Amazon Kinesis Data Streams pricing"
_LAMBDA = "AWS Lambda pricing"
_DYNAMODB = "Amazon DynamoDB pricing for on-demand capacity"
_ELASTICACHE = "Amazon ElastiCache pricing"
_CLOUDWATCH = "Amazon CloudWatch pricing"

BALANCER = Price(0.0225, "hour", _ELB)
BALANCER_CAPACITY = Price(0.008, "LCU-hour", _ELB)
PUBLIC_ADDRESS = Price(0.005, "hour", _VPC)
NAT = Price(0.045, "hour", _VPC)
NAT_DATA = Price(0.045, "GB", _VPC)
ENDPOINT = Price(0.01, "hour and zone", _PRIVATELINK)
ENDPOINT_DATA = Price(0.01, "GB", _PRIVATELINK)
DATA_OUT = Price(0.09, "GB", "Amazon EC2 on-demand pricing, data transfer")
VCPU = Price(0.03238, "vCPU-hour, arm64", _FARGATE)
MEMORY = Price(0.00356, "GB-hour, arm64", _FARGATE)
SHARD = Price(0.015, "shard-hour", _KINESIS)
PUT_UNIT = Price(0.014e-6, "PUT payload unit of 25 KB", _KINESIS)
LONGER_RETENTION = Price(0.02, "shard-hour past 24 h of retention", _KINESIS)
FAN_OUT = Price(0.015, "consumer-shard-hour", _KINESIS)
ON_DEMAND_STREAM = Price(0.04, "stream-hour, on demand", _KINESIS)
ON_DEMAND_IN = Price(0.08, "GB in, on demand, records rounded up to 1 KB", _KINESIS)
ON_DEMAND_OUT = Price(0.04, "GB out, on demand", _KINESIS)
ON_DEMAND_KEPT = Price(0.10, "GB-month past 24 h of retention, on demand", _KINESIS)
INVOCATION = Price(0.20e-6, "invocation", _LAMBDA)
FUNCTION_MEMORY = Price(0.0000133334, "GB-second, arm64", _LAMBDA)
WRITE_UNIT = Price(0.625e-6, "write request unit of 1 KB", _DYNAMODB)
READ_UNIT = Price(0.125e-6, "read request unit of 4 KB", _DYNAMODB)
TABLE_STORAGE = Price(0.25, "GB-month", _DYNAMODB)
TABLE_BACKUP = Price(0.20, "GB-month, point-in-time recovery", _DYNAMODB)
LOG_IN = Price(0.50, "GB taken in", _CLOUDWATCH)
LOG_KEPT = Price(0.03, "GB-month", _CLOUDWATCH)
METRIC = Price(0.30, "custom metric and month", _CLOUDWATCH)
ALARM_METRIC = Price(0.10, "metric of an alarm and month", _CLOUDWATCH)
DASHBOARD = Price(3.00, "dashboard and month", _CLOUDWATCH)
SECRET = Price(0.40, "secret and month", "AWS Secrets Manager pricing")
KMS_CALL = Price(3e-6, "call", "AWS Key Management Service pricing")
WAF_LIST = Price(5.00, "web ACL and month", "AWS WAF pricing")
WAF_RULE = Price(1.00, "rule and month", "AWS WAF pricing")
WAF_REQUEST = Price(0.60e-6, "request", "AWS WAF pricing")

VALKEY_DISCOUNT = 0.20
"""What a node of Valkey costs less than one of Redis OSS (Amazon ElastiCache pricing)."""
NODES = {
    "cache.t4g.micro": Price(0.016, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.t4g.small": Price(0.032, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.t4g.medium": Price(0.065, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.m7g.large": Price(0.158, "node-hour, Redis OSS", _ELASTICACHE),
    "cache.r7g.large": Price(0.219, "node-hour, Redis OSS", _ELASTICACHE),
}
