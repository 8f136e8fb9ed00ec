"""The admin token: what every call that changes core data must carry, when one is set."""

import hmac
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from sanic import Request
from sanic.response import HTTPResponse

from schemas.errors import ForbiddenError, UnauthorizedError
from tracker.services import services_of

Parameters = ParamSpec("Parameters")
Route = Callable[Concatenate[Request, Parameters], Coroutine[Any, Any, HTTPResponse]]


def admin(route: Route[Parameters]) -> Route[Parameters]:
    """Lets `route` be called only with `Authorization: Bearer <ADMIN_TOKEN>`.

    Raises UnauthorizedError without a token, ForbiddenError with another one; compares in constant
    time. Everyone may call where no token is set.
    """

    @wraps(route)
    async def guarded(
        request: Request, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> HTTPResponse:
        token = services_of(request).settings.admin_token
        if token:
            _check(request.headers.get("authorization"), token)
        return await route(request, *args, **kwargs)

    return guarded


def _check(header: str | None, token: str) -> None:
    scheme, _, given = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise UnauthorizedError("this call needs the admin token")
    if not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode()):
        raise ForbiddenError("this is not the admin token")
