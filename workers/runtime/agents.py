"""Agents: coroutines that read a stream, shard by shard, and keep what they know in tables.

    events = Topic(name="events", decode=decode_events, at_ms=lambda event: event.received_at_ms)
    agents = Agents()

    @agents.agent(events)
    async def tally(stream: Stream[Event], totals: Table[str, int]) -> None:
        async for event in stream:
            totals[event.program.program_id] += 1

To register does nothing else: what agents need is bound to them by whoever runs them. An agent is called
once for each shard, with a stream, tables and sinks of that shard's own, and the settings of its registry's
type where it takes them; it ends when its stream ends.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import md5
from inspect import Parameter, iscoroutinefunction, signature
from typing import (
    Annotated,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from schemas.errors import AgentError
from schemas.frames import FailedEvent
from workers.runtime.sink import Outlet, Sink
from workers.runtime.state import State
from workers.runtime.stream import Named, Stream, nameless
from workers.runtime.table import Codec, Entries, Table, TableOptions, WindowedTable

T = TypeVar("T")
P = ParamSpec("P")

AgentFunction = Callable[Concatenate[Stream[T], P], Awaitable[None]]


class Decoded(msgspec.Struct, Generic[T], frozen=True):
    """What a record held: its events, each with its place in the record, and what did not decode."""

    events: Sequence[tuple[int, T]]
    failed: Sequence[FailedEvent] = ()


def kinesis_hash(key: str) -> int:
    """Where a partition key lies among Kinesis's hash keys: its MD5 (Kinesis API reference, Record)."""
    return int.from_bytes(md5(key.encode(), usedforsecurity=False).digest())


class Topic(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A stream as agents know it: under a name of its own, and how its records are read.

    `decode` raises PoisonError for a record that is none. `at_ms` is when an event happened, the time of
    windows; without it, when its record arrived. `follows_clock` is whether that time passes where no event
    comes: it does not where whoever fills the stream may be far behind. `hash_of` is where the producer
    puts a key. `encode` makes the bytes of one event, to keep where an agent failed on it. `named` is what an
    event is found by in logs.
    """

    name: str
    decode: Callable[[bytes], Decoded[T]]
    at_ms: Callable[[T], int] | None = None
    hash_of: Callable[[str], int] = kinesis_hash
    follows_clock: bool = True
    encode: Callable[[T], bytes] = msgspec.msgpack.encode
    named: Callable[[T], Named] = nameless


class TableParameter(msgspec.Struct, frozen=True):
    """A table that an agent takes."""

    key_type: Any
    value_type: Any
    options: TableOptions

    def made(self, entries: Entries, settings: Any) -> Table[Any, Any] | WindowedTable[Any, Any]:
        codec: Codec[Any, Any] = Codec(self.key_type, self.value_type)
        default, window = self.options.default or _default(self.value_type), self.options.window
        if window is None:
            return Table(entries, codec, default)
        return WindowedTable(entries, codec, default, window(settings) if callable(window) else window)

    def merged(self, first: bytes, second: bytes) -> bytes:
        """One value of two, for a key that two shards knew. Raises AgentError where none is told how."""
        if self.options.merge is None:
            raise AgentError("both shards that were merged know a key, and its table has no `merge`")
        codec: Codec[Any, Any] = Codec(self.key_type, self.value_type)
        return codec.value(self.options.merge(codec.decode_value(first), codec.decode_value(second)))


class Agent(Generic[T]):
    """An agent as registered: its function, and what that takes. Call `bound` for each shard."""

    def __init__(
        self,
        function: Callable[..., Awaitable[None]],
        topic: Topic[T],
        *,
        name: str,
        settings_type: type | None = None,
    ) -> None:
        self.name = name
        self.topic = topic
        self.settings_type = settings_type
        """Of the settings that it may take; None where there are none."""
        self.tables: dict[str, TableParameter] = {}
        self.sinks: list[str] = []
        self._function = function
        self._stream = ""
        self._settings = ""
        _check(function, name)
        for parameter, kind in _kinds(function).items():
            self._take(parameter, *kind)
        if not self._stream:
            raise AgentError(f"{name} takes no Stream")

    def bound(
        self, state: State, outlets: Mapping[str, Outlet[Any]], settings: object
    ) -> Callable[[Stream[T]], Awaitable[None]]:
        """The function on `state`, which gets its tables and sinks. `settings` are of its `settings_type`.
        Raises AgentError for a lost sink.
        """
        given: dict[str, object] = {self._settings: settings} if self._settings else {}
        for name, parameter in self.tables.items():
            entries = Entries()
            table = given[name] = parameter.made(entries, settings)
            state.add_table(name, entries, table)
        for name in self.sinks:
            if name not in outlets:
                raise AgentError(f"{self.name}: nothing takes what it sends to {name}")
            given[name] = state.sinks[name] = Sink(outlets[name])
        return lambda stream: self._function(**{self._stream: stream}, **given)

    def _take(self, name: str, kind: Any, options: TableOptions) -> None:
        origin = get_origin(kind)
        if origin is Stream and not self._stream:
            self._stream = name
        elif origin is Sink:
            self.sinks.append(name)
        elif kind is not None and kind is self.settings_type:
            self._settings = name
        elif origin in (Table, WindowedTable) and (origin is WindowedTable) == bool(options.window):
            key_type, value_type = get_args(kind)
            self.tables[name] = TableParameter(key_type, value_type, options)
        elif origin in (Table, WindowedTable):
            raise AgentError(f"{self.name}: {name} needs a window if it is a WindowedTable, and only then")
        else:
            kinds = "Stream, Table, WindowedTable, Sink or settings of the registry's type"
            raise AgentError(f"{self.name}: {name} is no {kinds}: {kind}")


class Timer(msgspec.Struct, frozen=True):
    """A coroutine that every worker calls every so often. It takes sinks alone."""

    name: str
    function: Callable[..., Awaitable[None]]
    every_ms: int
    sinks: tuple[str, ...]


class Agents:
    """The agents and timers of a program, by name, and the type of the settings that agents may take."""

    def __init__(self, *, settings_type: type | None = None) -> None:
        self._settings_type = settings_type
        self.agents: dict[str, Agent[Any]] = {}
        self.timers: dict[str, Timer] = {}

    def agent(self, topic: Topic[T], *, name: str | None = None) -> Callable[[AgentFunction[T, P]], Agent[T]]:
        """Registers a coroutine function as the agent of a topic, under its own name or the one given.

        Raises AgentError for a function that is no agent, or a name that is taken.
        """

        def register(function: AgentFunction[T, P]) -> Agent[T]:
            agent = Agent(function, topic, name=name or function.__name__, settings_type=self._settings_type)
            self._claim(agent.name)
            self.agents[agent.name] = agent
            return agent

        return register

    def timer(
        self, *, every_ms: int
    ) -> Callable[[Callable[P, Awaitable[None]]], Callable[P, Awaitable[None]]]:
        """Registers a coroutine function that takes nothing but sinks, to be called every so often."""

        def register(function: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
            name = function.__name__
            _check(function, name)
            kinds = _kinds(function)
            for parameter, (kind, _) in kinds.items():
                if get_origin(kind) is not Sink:
                    raise AgentError(f"{name}: a timer takes sinks alone, and {parameter} is none")
            self._claim(name)
            self.timers[name] = Timer(name, function, every_ms, tuple(kinds))
            return function

        return register

    def _claim(self, name: str) -> None:
        if name in self.agents or name in self.timers:
            raise AgentError(f"{name} is registered already")


def _check(function: Callable[..., object], name: str) -> None:
    if not iscoroutinefunction(function):
        raise AgentError(f"{name} is not an async function without yield")
    for each in signature(function).parameters.values():
        if each.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD, Parameter.POSITIONAL_ONLY):
            raise AgentError(f"{name}: {each} cannot be given by name")


def _kinds(function: Callable[..., object]) -> dict[str, tuple[Any, TableOptions]]:
    """Each parameter's type, with the table options of its annotation."""
    hints = get_type_hints(function, include_extras=True)
    names = signature(function).parameters
    return {name: _kind(hints.get(name)) for name in names}


def _kind(hint: Any) -> tuple[Any, TableOptions]:
    if get_origin(hint) is not Annotated:
        return hint, TableOptions()
    kind, *extras = get_args(hint)
    return kind, next((each for each in extras if isinstance(each, TableOptions)), TableOptions())


def _default(kind: Any) -> Callable[[], Any] | None:
    """The type itself, where calling it without arguments makes a value."""
    try:
        kind()
    except TypeError:
        return None
    made: Callable[[], Any] = kind
    return made
