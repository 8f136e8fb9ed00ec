import pytest

from tests.load.plan import LoadError, Target
from tests.load.programs import Programs
from tests.tracker.server import ID, serving


async def test_the_sample_programs_are_loaded_and_their_checksums_read() -> None:
    async with serving() as tracker:
        found = await Programs(tracker.client).samples()

    assert Target("212313", "124") in found
    assert len(found) == 3


async def test_given_programs_are_read() -> None:
    async with serving() as tracker:
        assert await Programs(tracker.client).known([ID]) == (Target(ID, "124"),)
        with pytest.raises(LoadError, match=r"404.*program_not_found"):
            await Programs(tracker.client).known([ID, "nosuch"])


async def test_programs_of_its_own_are_made_once() -> None:
    async with serving() as tracker:
        programs = Programs(tracker.client)
        made = await programs.own(20)
        changes = len(tracker.updates.sent)

        assert await programs.own(20) == made
        assert [each.program_id for each in made] == [f"load-{number}" for number in range(1, 21)]
        assert len(tracker.updates.sent) == changes == 20


async def test_what_needs_the_admin_token_says_so() -> None:
    async with serving(admin_token="secret") as tracker:
        with pytest.raises(LoadError, match=r"/cache/fill answered 401: .*unauthorized"):
            await Programs(tracker.client).samples()
