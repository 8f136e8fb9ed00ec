"""The way from `persist` to the update stream."""

from collections.abc import Sequence
from typing import NotRequired, Protocol, TypedDict

from lambdas.calls import RETRY_PAUSES_S, chunks, until_done
from schemas.errors import UpdateStreamUnavailableError
from schemas.updates import Update, encode_update

RECORDS_PER_CALL = 500


class Entry(TypedDict):
    Data: bytes
    PartitionKey: str


class EntryAnswer(TypedDict):
    ErrorCode: NotRequired[str]


class PutAnswer(TypedDict):
    Records: list[EntryAnswer]


class UpdateStream(Protocol):
    """The part of a Kinesis client that relaying takes."""

    def put_records(self, *, StreamName: str, Records: list[Entry]) -> PutAnswer: ...


class Relay:
    """Puts updates on the update stream, at least once and in no particular order."""

    def __init__(
        self, kinesis: UpdateStream, stream: str, *, pauses_s: Sequence[float] = RETRY_PAUSES_S
    ) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._pauses_s = pauses_s

    def put(self, updates: Sequence[Update]) -> None:
        """Returns once Kinesis confirmed all of them; else raises UpdateStreamUnavailableError."""
        entries = [Entry(Data=encode_update(update), PartitionKey=update.key) for update in updates]
        for some in chunks(entries, RECORDS_PER_CALL):
            if left := until_done(self._put, list(some), self._pauses_s):
                raise UpdateStreamUnavailableError(f"{len(left)} updates were not taken")

    def _put(self, entries: list[Entry]) -> list[Entry]:
        answers = self._kinesis.put_records(StreamName=self._stream, Records=entries)["Records"]
        return [entry for entry, answer in zip(entries, answers, strict=True) if answer.get("ErrorCode")]
