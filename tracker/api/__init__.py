"""The API: a row for each method of each path, in README's order. `/openapi.json` is made of it."""

from tracker.api.programs import PROGRAMS
from tracker.api.stored import STORED
from tracker.api.task import TASK
from tracker.api.ways_in import WAYS_IN

OPERATIONS = (*WAYS_IN, *PROGRAMS, *STORED, *TASK)
