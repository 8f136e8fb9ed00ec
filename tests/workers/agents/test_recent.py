from uuid import UUID, uuid4

from workers.agents.recent import CHUNK, REMEMBERED, Recent
from workers.runtime.table import Codec, Entries, Table


def make_table() -> Table[int, bytes]:
    return Table(Entries(), Codec(int, bytes), bytes)


def test_an_id_is_new_once() -> None:
    recent, message_id = Recent(make_table()), uuid4()

    assert [recent.add("a", message_id), recent.add("a", message_id)] == [True, False]


def test_another_program_may_have_the_same_id() -> None:
    recent, message_id = Recent(make_table()), uuid4()

    assert recent.add("a", message_id) and recent.add("b", message_id)


def test_whoever_has_the_table_knows_them_too() -> None:
    table, ids = make_table(), [uuid4() for _ in range(3 * CHUNK)]
    first = Recent(table)
    for each in ids:
        first.add("a", each)

    second = Recent(table)

    assert not any(second.add("a", each) for each in ids)
    assert second.add("a", uuid4())


def test_the_oldest_are_forgotten_and_their_space_with_them() -> None:
    table = make_table()
    recent = Recent(table)
    for number in range(REMEMBERED + CHUNK):
        recent.add("a", UUID(int=number))

    assert len(list(table)) == REMEMBERED // CHUNK
    assert recent.add("a", UUID(int=0))
    assert not recent.add("a", UUID(int=3 * CHUNK))
