"""The one error tree. Each class carries the HTTP status and the `reason` a client sees.

TrackerError                        500  internal_error
├── RequestError                    400  bad_request
│   ├── MalformedError              400  malformed
│   ├── UnauthorizedError           401  unauthorized
│   ├── ForbiddenError              403  forbidden
│   ├── OriginError                 403  origin_not_allowed
│   ├── SignatureError              403  bad_signature
│   │   └── ExpiredSignatureError   403  expired_signature
│   ├── NotFoundError               404  not_found
│   │   ├── ProgramNotFoundError    404  program_not_found
│   │   └── EventNotFoundError      404  event_not_found
│   ├── MethodNotAllowedError       405  method_not_allowed
│   ├── RequestTimeoutError         408  request_timeout
│   ├── TooLargeError               413  too_large
│   ├── UnsupportedMediaTypeError   415  unsupported_media_type
│   └── ExpectationError            417  expectation_failed
├── RateLimitedError                429  rate_limited            (with Retry-After)
├── UnavailableError                503  unavailable             (with Retry-After)
│   ├── CoreDataUnavailableError    503  core_data_unavailable
│   ├── EventsUnavailableError      503  events_unavailable
│   ├── BufferFullError             503  buffer_full
│   ├── NotAcknowledgedError        503  not_acknowledged
│   ├── UpdateStreamUnavailableError  503  update_stream_unavailable
│   ├── DrainingError               503  draining
│   ├── TooManyWatchersError        503  too_many_watchers
│   └── LeaseLostError              503  lease_lost
├── PoisonError                     500  poison                  (no retry can ever apply it)
│   ├── FrameError                  500  bad_frame
│   ├── EventError                  500  bad_event
│   └── UpdateError                 500  bad_update
├── NotConfiguredError              501  not_configured
├── AgentError                      500  agent_failed            (the code of a stream agent is at fault)
└── SettingsError                   500  bad_settings
"""

from typing import ClassVar

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for input that does not decode. Text that is not UTF-8 and nesting past the
interpreter's limit come out as Python's own errors, which are no MsgspecError."""


class TrackerError(Exception):
    """Something is wrong on this side. Base of everything this product raises on purpose.

    `status` and `reason` are part of the HTTP API: a reason, once published, keeps its meaning.
    `retry_after_s` is set where the same request may succeed later.
    """

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "internal_error"
    retry_after_s: ClassVar[int | None] = None


class RequestError(TrackerError):
    """The request cannot be served as sent; sending it again unchanged cannot help."""

    status = 400
    reason = "bad_request"


class MalformedError(RequestError):
    """A body or parameter that does not decode into what the route takes."""

    reason = "malformed"


class UnauthorizedError(RequestError):
    """An admin route was called without the token."""

    status = 401
    reason = "unauthorized"


class ForbiddenError(RequestError):
    """An admin route was called with a wrong token."""

    status = 403
    reason = "forbidden"


class OriginError(RequestError):
    """A page of an origin that the program does not list sent an event across origins."""

    status = 403
    reason = "origin_not_allowed"


class SignatureError(RequestError):
    """A signed request whose signature is missing, or is not of the program's key."""

    status = 403
    reason = "bad_signature"


class ExpiredSignatureError(SignatureError):
    """A signature of the program's key, from outside the window of time in which it holds."""

    reason = "expired_signature"


class NotFoundError(RequestError):
    """Nothing answers at this path."""

    status = 404
    reason = "not_found"


class ProgramNotFoundError(NotFoundError):
    """Core data was consulted and has no such program. Never raised because of an outage."""

    reason = "program_not_found"


class EventNotFoundError(NotFoundError):
    """The program has no stored event with this message id. What was just acknowledged is stored soon."""

    reason = "event_not_found"


class MethodNotAllowedError(RequestError):
    """The path answers other methods; `Allow` names them."""

    status = 405
    reason = "method_not_allowed"


class RequestTimeoutError(RequestError):
    """The request took longer to arrive than it may."""

    status = 408
    reason = "request_timeout"


class TooLargeError(RequestError):
    """Headers, a body or an event over its named limit."""

    status = 413
    reason = "too_large"


class UnsupportedMediaTypeError(RequestError):
    """A body in a form that no route takes, such as a compressed one."""

    status = 415
    reason = "unsupported_media_type"


class ExpectationError(RequestError):
    """`Expect` asks for something other than `100-continue`."""

    status = 417
    reason = "expectation_failed"


class RateLimitedError(TrackerError):
    """More events in this second than the program or one client address may send."""

    status = 429
    reason = "rate_limited"
    retry_after_s = 1


class UnavailableError(TrackerError):
    """A dependency or a bound stands in the way; the same request may succeed later."""

    status = 503
    reason = "unavailable"
    retry_after_s = 1


class CoreDataUnavailableError(UnavailableError):
    """Neither Redis nor DynamoDB answered, and this task holds no copy of the program."""

    reason = "core_data_unavailable"


class EventsUnavailableError(UnavailableError):
    """The events table did not answer."""

    reason = "events_unavailable"


class BufferFullError(UnavailableError):
    """The intake holds as many bytes as it may."""

    reason = "buffer_full"


class NotAcknowledgedError(UnavailableError):
    """Kinesis did not confirm within the deadline. The event may still land: resend with its id."""

    reason = "not_acknowledged"


class UpdateStreamUnavailableError(UnavailableError):
    """A change could not be put on the update stream."""

    reason = "update_stream_unavailable"


class DrainingError(UnavailableError):
    """This task is stopping and takes nothing new."""

    reason = "draining"


class TooManyWatchersError(UnavailableError):
    """As many read the live stream of this task as may."""

    reason = "too_many_watchers"


class LeaseLostError(UnavailableError):
    """The shard is someone else's by now: nothing of it can be committed here any more."""

    reason = "lease_lost"


class NotConfiguredError(TrackerError):
    """What was asked for needs a setting that this deployment does not have."""

    status = 501
    reason = "not_configured"


class PoisonError(TrackerError):
    """Bytes that can never be applied. They are set aside with their reason, never retried."""

    reason = "poison"


class FrameError(PoisonError):
    """A Kinesis record that is not a frame this version can read."""

    reason = "bad_frame"


class EventError(PoisonError):
    """One event of a frame that cannot be decoded or stored."""

    reason = "bad_event"


class UpdateError(PoisonError):
    """An update stream record that is not an update this version can read."""

    reason = "bad_update"


class AgentError(TrackerError):
    """A stream agent is written as the runtime cannot take it, or did what an agent may not."""

    reason = "agent_failed"


class SettingsError(TrackerError):
    """The environment does not give a process what it needs; the message names each variable."""

    reason = "bad_settings"
