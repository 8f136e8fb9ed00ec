"""Changes of core data: sent into the update stream, awaited as they come back."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.errors import CoreDataUnavailableError
from schemas.programs import Program, ProgramFields, Versions
from schemas.redis import Record
from schemas.updates import CachePurged, ProgramChanged, ProgramDeleted, Update
from tracker.programs import PURGE


class Programs(Protocol):
    """What is known, and when a change has come back: see tracker.programs.Programs."""

    async def record(self, program_id: str) -> Record: ...

    def applied(self, program_id: str, version: int) -> "asyncio.Future[None]": ...


class Updates(Protocol):
    """The way into the update stream: see tracker.updates.Updates."""

    async def send(self, updates: Sequence[Update]) -> None: ...


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change on its way: `applied` once this task has it from `refresh`."""

    program_id: str
    version: int
    applied: bool


class Changes:
    """Writes core data the one way there is. Each method raises UpdateStreamUnavailableError."""

    def __init__(self, programs: Programs, updates: Updates, versions: Versions, *, timeout_ms: int) -> None:
        self._programs = programs
        self._updates = updates
        self._versions = versions
        self._timeout_s = timeout_ms / 1000

    async def put(self, fields: Mapping[str, ProgramFields], *, wait: bool) -> list[Change]:
        """Makes each program what its fields say; at most 500 at once."""
        known = await asyncio.gather(*(self._known(program_id) for program_id in fields))
        changed = [
            ProgramChanged(program=_program(program_id, own, self._versions.next(record.version)))
            for (program_id, own), record in zip(fields.items(), known, strict=True)
        ]
        versions = {update.key: update.program.version for update in changed}
        applied = await self._send(changed, versions, wait=wait)
        return [Change(program_id=key, version=version, applied=applied) for key, version in versions.items()]

    async def delete(self, program_id: str, *, wait: bool) -> Change:
        """Removes a program, known or not."""
        version = self._versions.next((await self._known(program_id)).version)
        deleted = ProgramDeleted(program_id=program_id, version=version)
        applied = await self._send([deleted], {program_id: version}, wait=wait)
        return Change(program_id=program_id, version=version, applied=applied)

    async def purge(self) -> Change:
        """Empties Redis's program keys and every task's memory; waits until this task's is."""
        version = self._versions.next()
        applied = await self._send([CachePurged(version=version)], {PURGE: version}, wait=True)
        return Change(program_id=PURGE, version=version, applied=applied)

    async def _known(self, program_id: str) -> Record:
        try:
            return await self._programs.record(program_id)
        except CoreDataUnavailableError:
            return Record(0, None)

    async def _send(self, updates: Sequence[Update], versions: Mapping[str, int], *, wait: bool) -> bool:
        applied = [self._programs.applied(key, version) for key, version in versions.items()]
        try:
            await self._updates.send(updates)
            if not wait:
                return False
            _, late = await asyncio.wait(applied, timeout=self._timeout_s)
            return not late
        finally:
            for future in applied:
                future.cancel()


def _program(program_id: str, fields: ProgramFields, version: int) -> Program:
    """`fields` as the program's next version. What the system sets is not a writer's to say."""
    own = {name: getattr(fields, name) for name in ProgramFields.__struct_fields__}
    return Program(program_id=program_id, version=version, **own)
