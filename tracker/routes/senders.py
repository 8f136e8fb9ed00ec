"""Who sends a request, and the cookie that names a visitor: what each way in takes and gives."""

from sanic import Request

from tracker.events import Tracked
from tracker.sender import Sender, read_sender
from tracker.services import services_of
from tracker.visitors import visitor_cookie


def sender_of(request: Request, *, keeps_cookies: bool = False) -> Sender:
    """Who sent `request`. `keeps_cookies` where the answer has the headers of `cookie_of`."""
    settings = services_of(request).settings
    return read_sender(
        request.headers,
        peer=request.ip,
        cookie=request.cookies.get(settings.visitor_cookie),
        proxy_hops=settings.proxy_hops,
        keeps_cookies=keeps_cookies,
    )


def cookie_of(request: Request, tracked: Tracked) -> dict[str, str]:
    """The header that gives a visitor its name, where privacy lets it have one and it has none yet."""
    if tracked.new_visitor is None:
        return {}
    settings = services_of(request).settings
    name, max_age_s = settings.visitor_cookie, settings.visitor_cookie_max_age_s
    return {"set-cookie": visitor_cookie(name, tracked.new_visitor, max_age_s=max_age_s)}
