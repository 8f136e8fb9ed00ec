"""What an agent has on one shard: its tables and sinks, as one thing to commit or roll back."""

from typing import Any

from workers.runtime.sink import Sink
from workers.runtime.table import Entries, Table, WindowedTable


class State:
    """Nothing of it is seen outside before the commit; an event that fails leaves nothing in it."""

    def __init__(self) -> None:
        self.tables: dict[str, Entries] = {}
        self.views: dict[str, Table[Any, Any] | WindowedTable[Any, Any]] = {}
        """What the agent sees of its tables."""
        self.sinks: dict[str, Sink[Any]] = {}
        self.watermark_ms = 0
        self._windowed: list[WindowedTable[Any, Any]] = []

    def add_table(self, name: str, entries: Entries, view: Table[Any, Any] | WindowedTable[Any, Any]) -> None:
        self.tables[name] = entries
        self.views[name] = view
        if isinstance(view, WindowedTable):
            self._windowed.append(view)

    @property
    def changed(self) -> int:
        """Entries the next commit has to write."""
        return sum(entries.changed for entries in self.tables.values())

    @property
    def is_waiting(self) -> bool:
        """There is something to commit."""
        return self.changed > 0 or any(sink.is_waiting for sink in self.sinks.values())

    @property
    def closes_at_ms(self) -> int | None:
        """The watermark that closes the next window of all."""
        closings = (each.closes_at_ms for each in self._windowed)
        return min((each for each in closings if each is not None), default=None)

    def advance(self, watermark_ms: int) -> None:
        """No event is expected any more from before this. It never goes back."""
        self.watermark_ms = max(self.watermark_ms, watermark_ms)
        for each in self._windowed:
            each.watermark_ms = self.watermark_ms

    def keep(self) -> None:
        """What has been done since the last time is done with; windows that are over close."""
        for each in self._windowed:
            each.close()
        for entries in self.tables.values():
            entries.keep()
        for sink in self.sinks.values():
            sink.keep()

    def roll_back(self) -> None:
        """Undoes what was done since the last `keep`."""
        for entries in self.tables.values():
            entries.roll_back()
        for sink in self.sinks.values():
            sink.roll_back()

    async def flush(self) -> None:
        """Raises UnavailableError; called again, it goes on where it was."""
        for sink in self.sinks.values():
            await sink.flush()

    def committed(self) -> None:
        for entries in self.tables.values():
            entries.committed()
