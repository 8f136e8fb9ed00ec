"""Core data: read, changed, filled, purged."""

from schemas.errors import (
    CoreDataUnavailableError,
    NotConfiguredError,
    ProgramNotFoundError,
    UpdateStreamUnavailableError,
)
from schemas.programs import PublicProgram, Totals
from tracker.changes import Change
from tracker.openapi import PROGRAM_ID, Answer, Body, Errors, Operation
from tracker.routes.cache import SAMPLES, FillAnswer, PurgeAnswer
from tracker.routes.programs import ChangeQuery, KeyAnswer, PageAnswer, PageQuery, ProgramAnswer, ProgramBody

_VERSION = 1_795_477_946_559_466
_CHANGING: Errors = (UpdateStreamUnavailableError,)
_PROGRAM = ProgramAnswer(
    PublicProgram(
        program_id=PROGRAM_ID,
        name="program2",
        customer_id=9124,
        customer_name="Customer2",
        checksum="124",
        version=_VERSION,
        written_version=_VERSION,
    ),
    Totals(views=5, clicks=3, conversions=2, invalid=1),
)
_CHANGED = Change(program_id=PROGRAM_ID, version=_VERSION, applied=True)
_SENT = Change(program_id=PROGRAM_ID, version=_VERSION, applied=False)
_CHANGE_ANSWERS = {
    200: Answer(meaning="this task has applied it", example=_CHANGED),
    202: Answer(meaning="on its way", example=_SENT),
}
_FILL_ANSWERS = {
    200: Answer(
        meaning="this task has applied all",
        example=FillAnswer([Change(program_id=each, version=_VERSION, applied=True) for each in SAMPLES]),
    ),
    202: Answer(meaning="on their way", example=FillAnswer([_SENT])),
}
_PURGE_ANSWERS = {
    200: Answer(meaning="this task's memory is empty", example=PurgeAnswer(_VERSION, True)),
    202: Answer(meaning="on its way", example=PurgeAnswer(_VERSION, False)),
}
_KEY = KeyAnswer(PROGRAM_ID, 0, "f8fff3ee0af2f50527c1b25c2665d44c1fc2764add3110871ddb9d5e4b1ab1f4")

PROGRAMS: tuple[Operation, ...] = (
    Operation(
        name="getProgram",
        method="GET",
        path="/programs/{programId}",
        summary="Core data of a program, with live totals",
        answers={200: Answer(meaning="as this task knows it", example=_PROGRAM)},
        errors=(ProgramNotFoundError, CoreDataUnavailableError),
    ),
    Operation(
        name="listPrograms",
        method="GET",
        path="/programs",
        summary="Programs page by page, in no particular order",
        query=PageQuery(limit=10),
        answers={200: Answer(meaning="a page", example=PageAnswer([_PROGRAM], None))},
        errors=(CoreDataUnavailableError,),
    ),
    Operation(
        name="getProgramKey",
        method="GET",
        path="/programs/{programId}/key",
        summary="The key that the program's partners sign with",
        answers={200: Answer(meaning="of this version", example=_KEY)},
        errors=(ProgramNotFoundError, CoreDataUnavailableError, NotConfiguredError),
        admin=True,
    ),
    Operation(
        name="putProgram",
        method="PUT",
        path="/programs/{programId}",
        summary="Makes a program what the body says, known or not",
        query=ChangeQuery(wait=True),
        body=Body(
            kind=ProgramBody,
            example=ProgramBody(
                name="Autumn sale", customer_id=9124, customer_name="Customer2", checksum="124"
            ),
        ),
        answers=_CHANGE_ANSWERS,
        errors=_CHANGING,
        admin=True,
    ),
    Operation(
        name="deleteProgram",
        method="DELETE",
        path="/programs/{programId}",
        summary="Removes a program, known or not",
        query=ChangeQuery(wait=True),
        answers=_CHANGE_ANSWERS,
        errors=(ProgramNotFoundError, *_CHANGING),
        admin=True,
    ),
    *(
        Operation(
            name=f"{method.lower()}CacheFill",
            method=method,
            path="/cache/fill",
            summary="Loads the sample programs through the update stream",
            answers=_FILL_ANSWERS,
            errors=_CHANGING,
            admin=True,
        )
        for method in ("GET", "POST")
    ),
    *(
        Operation(
            name=f"{method.lower()}CachePurge",
            method=method,
            path="/cache/purge",
            summary="Empties Redis's program keys and every task's memory",
            answers=_PURGE_ANSWERS,
            errors=_CHANGING,
            admin=True,
        )
        for method in ("GET", "POST")
    ),
)
