"""Tables: an agent's state, a value for each key, kept together with the position in the shard.

An agent names its tables as parameters: `totals: Table[str, int]`. Options stand in the annotation:
`Annotated[Table[str, Totals], TableOptions(default=Totals, merge=operator.add)]`. Keys and values are
whatever msgspec encodes.

Each shard has its own part of a table. Where a stream is resharded, an entry goes to the child whose
range of hash keys covers its key, or the key's first item where it is a tuple: so begin a table's keys
with the key of the stream, and an entry stays where its events are.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from schemas.errors import TooLargeError
from workers.runtime.window import Window, Windowing

K = TypeVar("K")
V = TypeVar("V")

KEY_MAX_BYTES = 900
"""An encoded key."""
VALUE_MAX_BYTES = 380_000
"""An encoded value: an item holds 400 KB, with the key and what is told beside it."""


class TableOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a table's annotation may say.

    `default` makes the value of a key that has none; without it, the value's type called without
    arguments does, where that can be. `merge` makes one value of two where two shards become one and
    both know the key. `window` is asked of a WindowedTable, and of no other; it may be a function of the
    settings that agents take.
    """

    default: Callable[[], Any] | None = None
    merge: Callable[[Any, Any], Any] | None = None
    window: Windowing | Callable[[Any], Windowing] | None = None


class Change(NamedTuple):
    """An entry as it is to be and as it was committed last; None where there is no such entry."""

    key: str
    value: bytes | None
    committed: bytes | None


class Entries:
    """The encoded entries of one table, with what they were before the event in hand and the commit."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of all keys and values."""
        self._values: dict[str, bytes] = {}
        self._before: dict[str, bytes | None] = {}
        self._committed: dict[str, bytes | None] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def get(self, key: str) -> bytes | None:
        return self._values.get(key)

    def put(self, key: str, value: bytes | None) -> None:
        """Sets an entry, or deletes it for None."""
        held = self._values.get(key)
        if value != held:
            self._before.setdefault(key, held)
            self._committed.setdefault(key, held)
            self._set(key, value)

    def load(self, key: str, value: bytes | None) -> None:
        """Takes an entry over as it was committed."""
        self._set(key, value)

    def keep(self) -> None:
        """The event in hand is done: there is no way back behind it."""
        self._before.clear()

    def roll_back(self) -> None:
        """Makes undone what was done since the last `keep`."""
        for key, value in self._before.items():
            self._set(key, value)
        self._before.clear()

    def changes(self) -> list[Change]:
        """What the next commit has to write."""
        return [Change(key, self._values.get(key), old) for key, old in self._committed.items()]

    @property
    def changed(self) -> int:
        """How many entries that is."""
        return len(self._committed)

    def committed(self) -> None:
        self._committed.clear()

    def _set(self, key: str, value: bytes | None) -> None:
        held = self._values.pop(key, None) if value is None else self._values.get(key)
        if held is not None:
            self.size -= len(key) + len(held)
        if value is not None:
            self._values[key] = value
            self.size += len(key) + len(value)


class Codec(Generic[K, V]):
    """Keys as JSON text, values as msgpack."""

    def __init__(self, key_type: Any, value_type: Any) -> None:
        self._keys: msgspec.json.Decoder[K] = msgspec.json.Decoder(key_type)
        self._values: msgspec.msgpack.Decoder[V] = msgspec.msgpack.Decoder(value_type)

    def key(self, key: K) -> str:
        """Raises TooLargeError for one over KEY_MAX_BYTES."""
        return _limited(msgspec.json.encode(key), KEY_MAX_BYTES, "key").decode()

    def value(self, value: V) -> bytes:
        """Raises TooLargeError for one over VALUE_MAX_BYTES."""
        return _limited(msgspec.msgpack.encode(value), VALUE_MAX_BYTES, "value")

    def decode_key(self, text: str) -> K:
        return self._keys.decode(text)

    def decode_value(self, data: bytes) -> V:
        return self._values.decode(data)


class Table(Generic[K, V]):
    """The entries of the shard at hand. What is read is a copy: to change a value, set it again."""

    def __init__(
        self, entries: Entries, codec: Codec[K, V], default: Callable[[], V] | None, *, prefix: str = ""
    ) -> None:
        self._entries = entries
        self._codec = codec
        self._default = default
        self._prefix = prefix

    def __getitem__(self, key: K) -> V:
        """The value, else the default. Raises KeyError where there is neither."""
        data = self._entries.get(self._place(key))
        if data is not None:
            return self._codec.decode_value(data)
        if self._default is None:
            raise KeyError(key)
        return self._default()

    def __setitem__(self, key: K, value: V) -> None:
        self._entries.put(self._place(key), self._codec.value(value))

    def __delitem__(self, key: K) -> None:
        self._entries.put(self._place(key), None)

    def __contains__(self, key: K) -> bool:
        return self._entries.get(self._place(key)) is not None

    def __iter__(self) -> Iterator[K]:
        return (self._codec.decode_key(place.removeprefix(self._prefix)) for place in self._places())

    def get(self, key: K) -> V | None:
        """The value, or None; no default."""
        data = self._entries.get(self._place(key))
        return None if data is None else self._codec.decode_value(data)

    def items(self) -> Iterator[tuple[K, V]]:
        return ((key, self[key]) for key in self)

    def clear(self) -> None:
        for place in self._places():
            self._entries.put(place, None)

    def _place(self, key: K) -> str:
        return self._prefix + self._codec.key(key)

    def _places(self) -> list[str]:
        return [place for place in self._entries if place.startswith(self._prefix)]


class Pane(Table[K, V]):
    """The entries of one window."""

    def __init__(
        self, window: Window, entries: Entries, codec: Codec[K, V], default: Callable[[], V] | None
    ) -> None:
        super().__init__(entries, codec, default, prefix=f"{window.start_ms}/")
        self.window = window


OnClose = Callable[[Window, Mapping[K, V]], None]


class WindowedTable(Generic[K, V]):
    """A table for each window of event time, gone once the window closes.

    for counts in minutes.at(event.received_at_ms):
        counts[event.program.program_id] += 1
    """

    def __init__(
        self, entries: Entries, codec: Codec[K, V], default: Callable[[], V] | None, windowing: Windowing
    ) -> None:
        self.late = 0
        """How many moments were asked for whose windows were closed."""
        self.watermark_ms = 0
        self.closes_at_ms: int | None = 0
        """The watermark that may close the next window; None where none is open."""
        self._entries = entries
        self._codec = codec
        self._default = default
        self._windowing = windowing
        self._on_close: OnClose[K, V] | None = None

    def at(self, at_ms: int) -> list[Pane[K, V]]:
        """The open windows that hold the moment, oldest first; none for one that is too late."""
        windows = self._windowing.windows(at_ms)
        panes = [self._pane(each) for each in windows if not self._is_closed(each)]
        if panes:
            self._expect(panes[0].window)
        self.late += not panes
        return panes

    def between(self, first_ms: int, last_ms: int) -> list[Pane[K, V]]:
        """The windows that hold any moment of these, both included, oldest first, without closed ones."""
        oldest_ms = self._windowing.windows(first_ms)[0].start_ms
        starts = range(oldest_ms, last_ms + 1, self._windowing.step_ms)
        windows = (self._windowing.starting(start) for start in starts)
        return [self._pane(each) for each in windows if not self._is_closed(each)]

    def open(self) -> list[Pane[K, V]]:
        """The windows that have entries, oldest first."""
        starts = sorted({int(key.partition("/")[0]) for key in self._entries})
        return [self._pane(self._windowing.starting(start)) for start in starts]

    def on_close(self, callback: OnClose[K, V]) -> None:
        """Has each window's entries handed to `callback` when it closes, oldest window first.

        What it sends to sinks goes out before the commit that forgets the window: at least once.
        """
        self._on_close = callback

    def close(self) -> None:
        """Closes what the watermark has passed."""
        if self.closes_at_ms is None or self.watermark_ms < self.closes_at_ms:
            return
        panes = self.open()
        for pane in panes:
            if self._is_closed(pane.window):
                if self._on_close is not None:
                    self._on_close(pane.window, dict(pane.items()))
                pane.clear()
        ends = [pane.window.end_ms for pane in panes if not self._is_closed(pane.window)]
        self.closes_at_ms = min(ends) + self._windowing.lateness_ms if ends else None

    def _expect(self, window: Window) -> None:
        closes_at_ms = window.end_ms + self._windowing.lateness_ms
        if self.closes_at_ms is None or closes_at_ms < self.closes_at_ms:
            self.closes_at_ms = closes_at_ms

    def _is_closed(self, window: Window) -> bool:
        return self._windowing.is_closed(window, self.watermark_ms)

    def _pane(self, window: Window) -> Pane[K, V]:
        return Pane(window, self._entries, self._codec, self._default)


def routing_key(entry: str) -> str:
    """What decides on which shard an entry is: its key, or the first item of that; its window does not."""
    start, slash, rest = entry.partition("/")
    key = msgspec.json.decode(rest if slash and start.isdigit() else entry)
    return str(key[0] if isinstance(key, list) and key else key)


def _limited(data: bytes, limit: int, what: str) -> bytes:
    if len(data) > limit:
        raise TooLargeError(f"a {what} of {len(data)} bytes is over {limit}")
    return data
