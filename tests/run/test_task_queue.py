"""Which tasks travel together, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_time import VirtualTime

from batchfree.core.chat import ChatRequest, Kind
from batchfree.journal.attempts import Attempt, Outcome
from batchfree.journal.question_state import QuestionState
from batchfree.journal.questions import Question
from batchfree.run.packer import halves, largest_pack
from batchfree.run.task_queue import LOOK_AHEAD, TaskQueue
from batchfree.run.tasks import Parcel, Task


def task(number: int, company: str | None = "a", at_most: int | None = None) -> Task:
    request = ChatRequest(messages=({"role": "user", "content": company or ""},))
    question = Question(digest=f"{number:032x}", request=request, row=number)
    return Task(question=question, state=QuestionState(), at_most=at_most)


def company(each: Task) -> str | None:
    return each.question.request.messages[0]["content"] or None


def rows(parcel: Parcel | None) -> list[int] | None:
    return None if parcel is None else [each.question.row for each in parcel]


def feed(tasks: Iterator[Task | None], size: int | Callable[[], int] = 3) -> TaskQueue:
    return TaskQueue(tasks, size if callable(size) else lambda: size, company)


def taken(source: TaskQueue, count: int = 100) -> list[list[int] | None]:
    """The next parcels, each of which comes home at once with nothing left to do."""

    async def main() -> list[list[int] | None]:
        found = []
        for _ in range(count):
            parcel = await source.next()
            found.append(rows(parcel))
            if parcel is None:
                return found
            source.done()
        return found

    return list(VirtualTime().run(main))


def test_parcels_are_full_and_the_last_one_is_what_is_left() -> None:
    assert taken(feed(iter([task(n) for n in range(7)]))) == [[0, 1, 2], [3, 4, 5], [6], None]


def test_tasks_of_different_company_travel_apart() -> None:
    mixed = [task(0, "a"), task(1, "b"), task(2, "a"), task(3, None), task(4, "b"), task(5, "a")]
    assert taken(feed(iter(mixed))) == [[3], [0, 2, 5], [1, 4], None]


def test_an_empty_input_has_no_parcels() -> None:
    assert taken(feed(iter([]))) == [None]
    assert taken(feed(iter([None, None]))) == [None]


def test_the_input_is_read_no_further_than_it_must() -> None:
    read = []

    def source() -> Iterator[Task]:
        for n in range(1000):
            read.append(n)
            yield task(n)

    assert taken(feed(source()), 2) == [[0, 1, 2], [3, 4, 5]]
    assert len(read) == 6


def test_too_many_companies_do_not_make_everybody_wait() -> None:
    read = []

    def source() -> Iterator[Task]:
        for n in range(10_000):
            read.append(n)
            yield task(n, f"company {n // 2}" if n != 7 else "company 2")

    (first,) = taken(feed(source()), 1)
    assert first == [4, 5, 7], "the fullest group leaves"
    assert len(read) <= LOOK_AHEAD * 3


def test_rows_that_came_back_fill_the_next_parcel_with_fresh_ones() -> None:
    async def main() -> list[list[int] | None]:
        source = feed(iter([task(n) for n in range(8)]))
        first = await source.next()
        assert rows(first) == [0, 1, 2]
        source.done([task(1)])
        found = []
        while (parcel := await source.next()) is not None:
            found.append(rows(parcel))
            source.done()
        return found

    assert VirtualTime().run(main) == [[1, 3, 4], [5, 6, 7]]


def test_rows_that_came_back_wait_for_others_that_are_still_out() -> None:
    async def main() -> list[list[int] | None]:
        source, found = feed(iter([task(n) for n in range(6)])), list[list[int] | None]()
        assert rows(await source.next()) == [0, 1, 2]
        assert rows(await source.next()) == [3, 4, 5]
        source.done([task(0)])

        async def ask() -> None:
            found.append(rows(await source.next()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(100)
            assert found == [], "one row alone would be a waste while others may come back"
            source.done([task(4)])
        source.done()
        found.append(rows(await source.next()))
        return found

    assert VirtualTime().run(main) == [[0, 4], None]


def test_parcels_to_be_sent_just_so_go_first_and_stay_as_they_are() -> None:
    async def main() -> list[list[int] | None]:
        source = feed(iter([task(n) for n in range(6)]))
        first = await source.next()
        assert first is not None
        source.done(resend=halves(first))
        return [rows(await source.next()) for _ in range(3)]

    assert VirtualTime().run(main) == [[0, 1], [2], [3, 4, 5]]


@pytest.mark.parametrize(
    "limits", [(1, None, None, None), (2, 2, None, None), (2, None, None), (2, 3, 3, 3), (None, 1, None, 2, 1)]
)
def test_no_row_travels_in_a_larger_pack_than_it_may(limits: tuple[int | None, ...]) -> None:
    found = taken(feed(iter([task(n, at_most=limit) for n, limit in enumerate(limits)]), 4))
    assert found.pop() is None
    for parcel in found:
        assert parcel is not None
        assert len(parcel) <= min((limits[row] or 4) for row in parcel)
    assert sorted(row for parcel in found for row in parcel or ()) == list(range(len(limits)))


def test_a_task_that_two_packs_left_out_goes_alone() -> None:
    twice = QuestionState()
    for _ in range(2):
        outcome = Outcome(question="q", row=0, kind=Kind.BAD_ANSWER, error="missing")
        others = tuple(Outcome(question=f"o{n}", row=n, answer="x") for n in range(1, 4))
        at = datetime(2026, 10, 6, tzinfo=UTC)
        twice = twice.after(Attempt(at=at, route="local", models=("m:free",), outcomes=(outcome, *others)), outcome)
    alone = Task(question=task(0).question, state=twice)
    assert largest_pack(alone) == 1
    assert taken(feed(iter([alone, task(1), task(2)]))) == [[0], [1, 2], None]


def test_the_size_is_asked_for_when_a_parcel_leaves() -> None:
    size = 4

    async def main() -> list[list[int] | None]:
        nonlocal size
        source = feed(iter([task(n) for n in range(10)]), lambda: size)
        found = [rows(await source.next())]
        size = 2
        found += [rows(await source.next()) for _ in range(2)]
        return found

    assert VirtualTime().run(main) == [[0, 1, 2, 3], [4, 5], [6, 7]]


@settings(max_examples=200, deadline=None)
@given(
    companies=st.lists(st.sampled_from(["a", "b", None]), max_size=60),
    size=st.integers(1, 6),
    fates=st.lists(st.sampled_from(["done", "back", "half", "again", "spare"]), min_size=1, max_size=40),
)
def test_every_task_comes_home_whatever_comes_back(companies: list[str | None], size: int, fates: list[str]) -> None:
    async def main() -> list[int]:
        source = feed(iter([task(n, each) for n, each in enumerate(companies)]), size)
        done, turn = list[int](), 0
        while (parcel := await source.next()) is not None:
            assert 1 <= len(parcel) <= size
            assert len({company(each) for each in parcel}) == 1
            fate, turn = fates[turn % len(fates)] if turn < 200 else "done", turn + 1
            if fate == "spare" and len(parcel) > 1:
                source.put_back(parcel[1:])
                parcel = parcel[:1]
            if fate == "back":
                source.done(parcel)
            elif fate == "again":
                source.done(resend=halves(parcel))
            elif fate == "half":
                source.done(parcel[: len(parcel) // 2])
                done += rows(parcel[len(parcel) // 2 :]) or []
            else:
                source.done()
                done += rows(parcel) or []
        return done

    assert sorted(VirtualTime().run(main)) == list(range(len(companies)))


def test_of_many_that_wait_one_gets_what_came_back_and_the_others_go_home_at_the_end() -> None:
    async def main() -> list[list[int] | None]:
        source, found = feed(iter([task(0)]), size=1), list[list[int] | None]()
        assert rows(await source.next()) == [0]

        async def work() -> None:
            while (parcel := await source.next()) is not None:
                found.append(rows(parcel))
                await anyio.sleep(10)
                source.done()
            found.append(None)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(work)
            await anyio.sleep(100)
            assert found == []
            source.done([task(0)])
        return found

    assert VirtualTime().run(main) == [[0], None, None, None]
