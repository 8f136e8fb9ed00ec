"""Why a local stack cannot run. Each message is one line: what is wrong, and what to do about it.

LocalError
├── PortTakenError
├── AlreadyRunningError
├── MissingToolError
├── StartError
└── DemoError
"""

from schemas.errors import TrackerError


class LocalError(TrackerError):
    """Base of what the local stack raises on purpose."""


class PortTakenError(LocalError):
    """Something else listens where a tracker should."""


class AlreadyRunningError(LocalError):
    """Another stack holds this run directory."""


class MissingToolError(LocalError):
    """A program that the stack starts is not there for this platform."""


class StartError(LocalError):
    """A part ended, or took too long, before it was ready."""


class DemoError(LocalError):
    """The demo could not be carried through, whatever its ledger would have said."""
