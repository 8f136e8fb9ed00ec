"""What passed through the proxies: each copy of an event, each insert, each change of core data."""

import re
import time
from collections import Counter

from cdk.config import LOCAL
from schemas.errors import FrameError
from schemas.frames import decode_frame
from tests.faults.aws_proxy import Call, Json, Reply

OK = 200
COLUMN = re.compile(r"'(\w+)': \?")


class Witness:
    """Sees what AWS did, whatever became of its answer."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()
        """How often each message id reached the event stream."""
        self.last_put: dict[str, int] = {}
        """The highest sequence number that each shard of the event stream gave out."""
        self.redelivered: Counter[str] = Counter()
        """How often each message id was refused by the table because the same record had stored it."""
        self.applied_s: dict[tuple[str, str], float] = {}
        """When DynamoDB took a program's core data, by program id and name."""
        self._inserted: set[tuple[str, str]] = set()

    def see(self, call: Call, reply: Reply) -> None:
        if reply.status != OK:
            return
        match call.operation, call.subject:
            case "PutRecords", LOCAL.event_stream.name:
                self._see_records(call, reply)
            case "PutItem", LOCAL.programs.name:
                self._see_program(call.request["Item"])
            case "BatchExecuteStatement", _:
                self._see_inserts(call, reply)

    def duplicates(self, message_ids: set[str]) -> int:
        """Copies of these events that had to be suppressed: sent again, or delivered again."""
        again = sum(self.copies[each] - 1 for each in message_ids if each in self.copies)
        return again + sum(self.redelivered[each] for each in message_ids)

    def _see_records(self, call: Call, reply: Reply) -> None:
        for data, result in zip(call.records, reply.answer["Records"], strict=True):
            if "SequenceNumber" in result:
                self.copies.update(_message_ids(data))
                shard_id, number = result["ShardId"], int(result["SequenceNumber"])
                self.last_put[shard_id] = max(number, self.last_put.get(shard_id, 0))

    def _see_program(self, item: Json) -> None:
        if "name" in item:
            self.applied_s.setdefault((item["program_id"]["S"], item["name"]["S"]), time.monotonic())

    def _see_inserts(self, call: Call, reply: Reply) -> None:
        for statement, result in zip(call.request["Statements"], reply.answer["Responses"], strict=True):
            values = dict(zip(COLUMN.findall(statement["Statement"]), statement["Parameters"], strict=True))
            insert = (values["message_id"]["S"], values["origin"]["S"])
            if "Error" not in result:
                self._inserted.add(insert)
            elif insert in self._inserted:
                self.redelivered[insert[0]] += 1


def _message_ids(data: bytes) -> list[str]:
    try:
        return [str(event.message_id) for event in decode_frame(data).events]
    except FrameError:
        return []
