"""The query of a request."""

from typing import TypeVar

import msgspec
from sanic import Request

from schemas.errors import MalformedError

Query = TypeVar("Query", bound=msgspec.Struct)


def read_query(request: Request, kind: type[Query]) -> Query:
    """The query as a `kind`: of a repeated name the first counts, one that is not known is passed over.

    Raises MalformedError.
    """
    given = dict(reversed(request.get_query_args()))
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error)) from error
