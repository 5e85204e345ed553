"""What an attempt means to its rows, and where each of them goes next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from batchfree.answers import Answer, AnswerRule
from batchfree.core.chat import ChatRequest, Completion, Failure, Kind, Usage
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.journal.attempts import MISSING, Attempt
from batchfree.journal.question_state import QuestionState
from batchfree.journal.questions import Question
from batchfree.run.follow_up import (
    BISECTED,
    FollowUp,
    RetryPolicy,
    RowResults,
    attempt_of,
    complaint,
    follow,
    outcomes,
    read_results,
    repeats,
)
from batchfree.run.tasks import Parcel, Task
from batchfree.service.routing import Draw

RULE = AnswerRule(labels=("yes", "no"))
POLICY = RetryPolicy(max_attempts=5, reask=1)
DRAW = Draw(route="local", models=("m/a:free", "m/b:free"))
NOON = datetime(2026, 10, 6, 12, tzinfo=UTC)


def task(number: int = 0, **changes: Any) -> Task:
    request = ChatRequest(messages=({"role": "user", "content": f"Row {number}?"},))
    return Task(
        question=Question(digest=f"{number:032x}", request=request, row=number), state=QuestionState(), **changes
    )


def pack(size: int, **changes: Any) -> Parcel:
    return tuple(task(number, **changes) for number in range(size))


def failed(kind: Kind, **facts: Any) -> Failure:
    return Failure(kind=kind, message="why", model="m/a:free", **facts)


def said(content: str, finish: str = "stop", **facts: Any) -> Completion:
    return Completion(model="m/a:free", content=content, finish_reason=finish, **facts)


def after(
    parcel: Parcel,
    judged: Completion | Failure,
    policy: RetryPolicy = POLICY,
    larger_left: bool = False,
    same: bool = False,
) -> tuple[Attempt, FollowUp]:
    codes = tuple(f"k{number:03d}" for number in range(len(parcel)))
    reply = read_results(judged, parcel, codes, RULE)
    results = outcomes(reply, parcel, policy, larger_left=larger_left, repeats=same)
    attempt = attempt_of(reply, results, draw=DRAW, at=NOON)
    return attempt, follow(parcel, attempt, reply, policy)


def answers(*labels: str | None) -> str:
    pairs = (f'"k{number:03d}": "{label}"' for number, label in enumerate(labels) if label is not None)
    return "{" + ", ".join(pairs) + "}"


def numbers(parcel: Parcel) -> list[int]:
    return [each.question.row for each in parcel]


# One row


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.RENDER, Kind.TIED)])
def test_a_failure_of_one_row_leads_where_the_table_says(kind: Kind) -> None:
    attempt, then = after((task(),), failed(kind))
    (outcome,) = attempt.outcomes
    kept = [] if CONSEQUENCES[kind] in (Consequence.REJECT, Consequence.PERSON) else [0]
    assert (numbers(then.retry), then.requeue, then.resend) == (kept, (), ())
    assert outcome.final is (CONSEQUENCES[kind] is Consequence.REJECT)
    if then.retry:
        counts = CONSEQUENCES[kind] is not Consequence.ACCOUNT
        assert (then.retry[0].attempts, then.retry[0].state.attempts) == (counts, counts)


def test_an_answer_is_the_end() -> None:
    attempt, then = after((task(),), said("Yes."))
    assert then == FollowUp()
    assert attempt.outcomes[0].answer == "yes"
    assert attempt.answered == 1


@pytest.mark.parametrize(
    "kind", [Kind.BAD_ANSWER, Kind.EMPTY, Kind.TRUNCATED, Kind.NOT_CHAT, Kind.REFUSED, Kind.CONTENT_POLICY]
)
def test_wrong_answers_finish_a_row_when_there_were_enough(kind: Kind) -> None:
    row, finals = task(), []
    for _ in range(5):
        attempt, then = after((row,), failed(kind))
        finals.append(attempt.outcomes[0].final)
        row = then.retry[0] if then.retry else row
    assert finals == [False] * 4 + [True]


@pytest.mark.parametrize("kind", [Kind.EMPTY, Kind.TRUNCATED, Kind.NOT_CHAT, Kind.REFUSED, Kind.CONTENT_POLICY])
def test_an_answer_that_would_repeat_finishes_the_row_with_advice(kind: Kind) -> None:
    (outcome,) = after((task(),), failed(kind), same=True)[0].outcomes
    assert outcome.final
    assert ("request.max_tokens" if kind is Kind.TRUNCATED else "request.temperature") in (outcome.error or "")


def test_a_bad_answer_that_would_repeat_is_shown_as_often_as_reask_says() -> None:
    row, policy = task(), RetryPolicy(max_attempts=9, reask=2)
    for _ in range(2):
        attempt, then = after((row,), said("perhaps"), policy, same=True)
        assert not attempt.outcomes[0].final
        (row,) = then.retry
        shown = complaint(row, policy, repeats=True)
        assert shown is not None
        assert shown.answer == "perhaps"
    assert after((row,), said("perhaps"), policy, same=True)[0].outcomes[0].final


def test_only_one_row_at_temperature_zero_asked_of_one_model_repeats() -> None:
    def row(**parameters: Any) -> Task:
        request = ChatRequest(messages=({"role": "user", "content": "Why?"},), parameters=parameters)
        return Task(question=Question(digest="0" * 32, request=request, row=0), state=QuestionState())

    one, two = Draw(route="m", models=("m",), of=1), Draw(route="m", models=("m",), of=2)
    assert repeats(one, (row(temperature=0),))
    assert repeats(one, (row(temperature=0.0),))
    assert not repeats(one, (row(),))
    assert not repeats(one, (row(temperature=0.1),))
    assert not repeats(two, (row(temperature=0),))
    assert not repeats(one, (row(temperature=0), row(temperature=0)))


def test_wrong_answers_of_earlier_runs_count_but_not_their_transient_failures() -> None:
    row = task()
    for kind in (Kind.EMPTY, Kind.TIMEOUT, Kind.EMPTY, Kind.EMPTY, Kind.TIMEOUT):
        row = Task(question=row.question, state=after((row,), failed(kind))[1].retry[0].state)
    assert not after((row,), failed(Kind.TIMEOUT))[0].outcomes[0].final
    attempt, then = after((row,), failed(Kind.EMPTY))
    assert not attempt.outcomes[0].final
    assert after(then.retry, failed(Kind.EMPTY))[0].outcomes[0].final


def test_transient_failures_leave_a_row_pending_when_this_runs_attempts_are_used_up() -> None:
    row, kept = task(), []
    while row.attempts < 5:
        attempt, then = after((row,), failed(Kind.UPSTREAM_ERROR))
        kept.append(len(then.retry))
        assert not attempt.outcomes[0].final
        row = then.retry[0] if then.retry else Task(question=row.question, state=row.state, attempts=5)
    assert kept == [1, 1, 1, 1, 0]


def test_a_context_that_is_too_small_finishes_only_where_no_model_is_larger() -> None:
    attempt, then = after((task(),), failed(Kind.CONTEXT_LENGTH), larger_left=True)
    assert not attempt.outcomes[0].final
    assert then.with_context_above(8000).retry[0].context_above == 8000
    assert after((task(),), failed(Kind.CONTEXT_LENGTH))[0].outcomes[0].final


def test_every_model_that_may_have_seen_a_row_is_remembered() -> None:
    reached = [
        (failed(Kind.EMPTY), {"m/a:free"}),
        (Failure(kind=Kind.TIMEOUT, message="late"), {"m/a:free", "m/b:free"}),
        (Failure(kind=Kind.UPSTREAM_ERROR, message="x", model="m/b:free"), {"m/a:free", "m/b:free"}),
        (
            failed(Kind.EMPTY, router={"attempts": [{"model": "m/x:free"}, {"model": "m/a:free"}]}),
            {"m/x:free", "m/a:free"},
        ),
    ]
    for judged, models in reached:
        assert after((task(),), judged)[1].retry[0].state.models_reached == models


# What is shown when asking again


def test_a_bad_answer_is_shown_from_the_second_one_on() -> None:
    row, shown = task(), []
    for answer in ("perhaps", "maybe", "who knows", "hm"):
        row = after((row,), said(answer))[1].retry[0]
        told = complaint(row, RetryPolicy(max_attempts=5, reask=2))
        shown.append(told and told.answer)
    assert shown == [None, "maybe", "who knows", None]


@pytest.mark.parametrize(
    ("judged", "shown"),
    [
        ([said("perhaps"), failed(Kind.TIMEOUT)], None),
        ([said("perhaps"), failed(Kind.EMPTY)], "perhaps"),
        ([said("perhaps"), said("maybe"), failed(Kind.TIMEOUT)], "maybe"),
        ([said("perhaps"), said("maybe"), failed(Kind.EMPTY)], None),
        ([failed(Kind.EMPTY), said("perhaps")], None),
        ([failed(Kind.EMPTY), failed(Kind.EMPTY)], None),
    ],
)
def test_other_failures_neither_bring_nor_take_a_turn_of_asking_again(
    judged: list[Completion | Failure], shown: str | None
) -> None:
    row = task()
    for each in judged:
        row = after((row,), each)[1].retry[0]
    told = complaint(row, POLICY)
    assert (told and told.answer) == shown


def test_failures_in_packs_count_as_the_plain_question() -> None:
    row = after(pack(3), said(answers("yes", None, "no")))[1].requeue[0]
    assert complaint(row, POLICY) is None
    row = after((row,), said("perhaps"))[1].retry[0]
    told = complaint(row, POLICY)
    assert told is not None
    assert told.answer == "perhaps"
    assert "none of the labels" in told.error


# Packs


def test_the_rows_of_a_pack_stand_by_themselves() -> None:
    attempt, then = after(pack(4), said(answers("yes", "perhaps", None, "no")))
    assert [outcome.kind for outcome in attempt.outcomes] == [None, Kind.BAD_ANSWER, Kind.BAD_ANSWER, None]
    assert attempt.outcomes[2].error == MISSING
    assert numbers(then.requeue) == [1, 2]
    assert not then.retry
    assert not then.resend
    assert all(each.attempts == 1 and each.state.pack_failures == 1 and each.at_most is None for each in then.requeue)


def test_the_tail_of_a_reply_that_was_cut_off_comes_back_at_half_the_size() -> None:
    attempt, then = after(pack(8), said(answers("yes", "no")[:-1] + ', "k002": "ye', finish="length"))
    assert attempt.answered == 2
    assert {outcome.kind for outcome in attempt.outcomes} == {None, Kind.TRUNCATED}
    assert numbers(then.requeue) == [2, 3, 4, 5, 6, 7]
    assert {each.at_most for each in then.requeue} == {4}
    assert {each.state.pack_failures for each in then.requeue} == {0}
    unclosed = after(pack(8), said(answers("yes", "no")[:-1] + ', "k002": "ye'))[1]
    assert {each.at_most for each in unclosed.requeue} == {4}, "also where the reply does not say that it was cut off"


def test_a_pack_that_thinking_left_no_room_for_comes_back_at_half_the_size() -> None:
    then = after(pack(8), failed(Kind.TRUNCATED))[1]
    assert len(then.requeue) == 8
    assert {each.at_most for each in then.requeue} == {4}


def test_an_unreadable_reply_sends_all_rows_back_and_the_second_one_halves_them() -> None:
    first = after(pack(8), said("I like hotels."))[1]
    assert len(first.requeue) == 8
    assert {each.at_most for each in first.requeue} == {None}
    second = after(first.requeue, said("I like films."))[1]
    assert {each.at_most for each in second.requeue} == {4}
    assert {each.state.pack_failures for each in second.requeue} == {0}, "it was not the rows' own failure"


@pytest.mark.parametrize("kind", sorted(BISECTED))
def test_a_pack_that_is_refused_as_a_whole_is_cut_in_two_and_finishes_no_row(kind: Kind) -> None:
    attempt, then = after(pack(5), failed(kind), RetryPolicy(max_attempts=3, reask=1))
    assert [numbers(half) for half in then.resend] == [[0, 1, 2], [3, 4]]
    assert not any(outcome.final for outcome in attempt.outcomes)


def test_a_refusal_in_words_is_one_of_the_whole_pack() -> None:
    assert len(after(pack(4), said("I'm sorry, but I can't help with that."))[1].resend) == 2
    assert len(after(pack(4), said("", finish="content_filter"))[1].resend) == 2


def test_where_the_last_attempt_comes_the_rows_of_a_refused_pack_go_alone() -> None:
    then = after(pack(4, attempts=3), failed(Kind.INVALID_REQUEST))[1]
    assert [numbers(each) for each in then.resend] == [[0], [1], [2], [3]]


@pytest.mark.parametrize("kind", [Kind.UPSTREAM_ERROR, Kind.TIMEOUT, Kind.EMPTY, Kind.NOT_CHAT, Kind.MODEL_UNAVAILABLE])
def test_a_pack_that_a_model_failed_stays_together(kind: Kind) -> None:
    then = after(pack(4), failed(kind))[1]
    assert numbers(then.retry) == [0, 1, 2, 3]
    assert not then.requeue
    assert not then.resend
    assert after(pack(4, attempts=4), failed(kind))[1] == FollowUp()


@pytest.mark.parametrize(("kind", "kept"), [(Kind.MINUTE_LIMIT, 3), (Kind.DAY_LIMIT, 3), (Kind.KEY_REFUSED, 0)])
def test_what_concerns_the_account_changes_no_row(kind: Kind, kept: int) -> None:
    parcel = pack(3)
    assert after(parcel, failed(kind))[1] == FollowUp(retry=parcel[:kept])


def test_what_is_recorded_is_what_came() -> None:
    usage = Usage(prompt_tokens=30, completion_tokens=4, cost=0.5)
    router = {"attempts": [{"model": "x"}, {"model": "y"}], "endpoints": {"available": list(range(500))}}
    judged = said("Yes", provider="P", request_id="gen-1", usage=usage, router=router)
    attempt = after((task(),), judged)[0]
    assert (attempt.status, attempt.kind, attempt.content, attempt.provider) == (200, None, "Yes", "P")
    assert (attempt.prompt_tokens, attempt.completion_tokens, attempt.cost) == (30, 4, 0.5)
    assert attempt.router == {"attempts": router["attempts"]}, "without the list of all that are on offer"
    lost = after((task(),), failed(Kind.EMPTY, status=200, permanent=True, unsupported="seed"))[0]
    assert (lost.content, lost.permanent, lost.unsupported, lost.error) == (None, True, "seed", "why")


def test_a_rejected_row_names_no_model() -> None:
    failure = Failure(kind=Kind.CONTEXT_LENGTH, message="too long")
    reply = RowResults(judged=failure, results=(failure,))
    over = outcomes(reply, (task(),), POLICY, larger_left=False)
    attempt = attempt_of(reply, over, draw=Draw(route="local", models=()), at=NOON)
    assert over[0].final
    assert not attempt.is_counted
    assert attempt.models_reached == frozenset()


def test_an_answer_within_a_pack_may_be_a_mended_one() -> None:
    attempt = after(pack(2), said("{'k000': 'yes', 'k001': 'no',}"))[0]
    assert [(each.answer, each.repaired) for each in attempt.outcomes] == [("yes", True), ("no", True)]
    assert isinstance(read_results(said("yes"), (task(),), (), RULE).results[0], Answer)
