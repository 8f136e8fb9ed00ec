"""What is in buckets, by name: counting it needs no leave to read it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol


class ListingS3(Protocol):
    """What listing asks of an S3 client."""

    async def list_objects_v2(self, **request: Any) -> dict[str, Any]: ...


class Place(NamedTuple):
    """An object of a bucket."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


async def listed(s3: ListingS3, buckets: Sequence[str], prefix: str = "") -> AsyncIterator[Place]:
    """Every object whose key begins with `prefix`. Raises what AWS raises."""
    for bucket in buckets:
        page: dict[str, str] = {}
        while True:
            answer = await s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **page)
            for each in answer.get("Contents", []):
                yield Place(bucket, each["Key"])
            if not answer.get("IsTruncated"):
                break
            page = {"ContinuationToken": answer["NextContinuationToken"]}
