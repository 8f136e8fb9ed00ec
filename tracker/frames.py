"""What becomes of the frames that a task's lanes send, counted over all lanes."""

from collections import Counter

from schemas.metrics import FRAME_BYTES, FRAME_EVENTS, Histogram

FAILED = "failed"
"""The reason of a put that was not answered."""


class SentFrames:
    """How full frames were that Kinesis confirmed, and how often others go again, by reason."""

    def __init__(self) -> None:
        self.events = Histogram(FRAME_EVENTS)
        self.bytes = Histogram(FRAME_BYTES)
        self.retries: Counter[tuple[str]] = Counter()

    def confirmed(self, *, events: int, size_bytes: int) -> None:
        self.events.observe(events)
        self.bytes.observe(size_bytes)

    def again(self, reason: str, frames: int = 1) -> None:
        self.retries[(reason,)] += frames
