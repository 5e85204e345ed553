"""One attempt of a parcel: the exchange with the service, the line in the journal, and what follows."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from batchfree import answers
from batchfree.answers import AnswerRule
from batchfree.core.chat import ChatRequest, Failure, Judged, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.errors import StorageError
from batchfree.core.routes import LOCAL
from batchfree.core.stops import Stopped, StopReason
from batchfree.journal.attempts import Attempt
from batchfree.journal.file import Journal
from batchfree.journal.journal_lines import JournalLine
from batchfree.run.backoff import seconds_until
from batchfree.run.follow_up import (
    FollowUp,
    RetryPolicy,
    RowResults,
    attempt_of,
    follow,
    outcomes,
    read_results,
    repeats,
)
from batchfree.run.outgoing import Outgoing, write_request
from batchfree.run.packer import Packer, halves
from batchfree.run.refusals import Refusals
from batchfree.run.tasks import Parcel, Task
from batchfree.service.exchange import Exchange, Response, Unreached
from batchfree.service.router import lesson_of
from batchfree.service.routing import (
    Ask,
    Criteria,
    Draw,
    NoVoterLeft,
    Reject,
    RequestAnalyzer,
    Stop,
    Wait,
    hinted_seconds,
    stop_after,
)

UNREACHED_WAIT_S = 10.0
"""Seconds until a row is asked again if its request did not reach the service."""


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one attempt: where the rows go, and whether the run must stop.

    `wait` is the number of seconds until `then.retry` is asked again; None: the backoff of a transient failure.
    """

    then: FollowUp = msgspec.field(default_factory=FollowUp)
    wait: float | None = 0.0
    hint: float = 0.0
    """Seconds for which the service asked to wait. Set only if its model is the only one that may answer."""
    stopped: Stopped | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingRules:
    """How the rows of a job are asked: what counts as an answer, how often to ask, the seed of the draws, and where."""

    answer: AnswerRule
    retry: RetryPolicy
    seed: int | None = None
    endpoint: str = ""
    """The base URL of the job, or `embedded`."""


class Sender:
    """Makes the attempts of a run, for all workers."""

    def __init__(
        self,
        *,
        rules: AskingRules,
        exchange: Exchange,
        packer: Packer,
        journal: Journal,
        recorded: Callable[[JournalLine], None],
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        """`recorded` is called with every new line of the journal; `clock` gives epoch seconds."""
        self._rules, self._exchange, self._packer, self._journal = rules, exchange, packer, journal
        self._recorded, self._clock, self._rng = recorded, clock, rng
        self._refusals = Refusals()
        self._analyzer = RequestAnalyzer(native_only=rules.answer.mode == "native")
        own = exchange.router.policy.own_models
        self._wants_schema = [answers.wants_native(rules.answer, packed=packed, own=own) for packed in (False, True)]

    async def send(self, parcel: Parcel, spare: Callable[[Sequence[Task]], None]) -> AttemptResult:
        """One attempt. `spare` gets the rows that need another request, as soon as they are known.

        Raises StorageError. A cancellation before the request is sent leaves nothing behind, after that a used start.
        """
        criteria = self._criteria(parcel)
        sent: Outgoing | None = None

        def compose(ask: Ask[Task]) -> ChatRequest:
            nonlocal sent
            self._journal.check()
            rules, salt, again = self._rules, criteria.salt, repeats(ask.draw, ask.rows)
            sent = write_request(ask.rows, rules.answer, rules.retry, native=ask.native, salt=salt, repeats=again)
            return sent.request

        match await self._exchange.send(parcel, criteria, compose, spare):
            case Response() as response:
                assert sent is not None
                return self._settle(response, sent, criteria)
            case Unreached(rows=rows, stopped=stopped):
                return AttemptResult(then=FollowUp(retry=rows), wait=UNREACHED_WAIT_S, stopped=stopped)
            case Wait(rows=rows, until=until):
                return AttemptResult(then=FollowUp(retry=rows), wait=seconds_until(until, self._clock()))
            case Reject(rows=rows, failure=failure):
                return self._reject(rows, failure)
            case NoVoterLeft() as left:
                return self._close(left.rows if left.for_good else (), left.spared)
            case Stop(stopped=stopped):
                return AttemptResult(stopped=stopped)

    def _criteria(self, parcel: Parcel) -> Criteria:
        """What a model must be able to do for the parcel.

        With `router.seed` the draws of a row depend only on the row and its number of attempts, not on the order of the
        rows.
        """
        first, seed = parcel[0], self._rules.seed
        rng = self._rng
        if seed is not None:
            rng = random.Random(f"{seed}/{first.question.digest}/{first.state.attempts}")
        return Criteria(
            needs=self._analyzer.needs(first.question.request, first.context_above),
            wants_schema=self._wants_schema[len(parcel) > 1],
            salt=str(rng.getrandbits(64)),
            pack_size=self._packer.pack_size,
            rows_that_fit=self._packer.rows_that_fit,
            only=first.check_of,
        )

    def _reject(self, parcel: Parcel, failure: Failure) -> AttemptResult:
        """Fails a row that no model can ever answer, without a request; a pack is halved first. Raises StorageError."""
        if len(parcel) > 1:
            return AttemptResult(then=FollowUp(resend=halves(parcel)))
        self._fail_unasked(parcel, failure)
        return AttemptResult()

    def _close(self, parcel: Parcel, spared: Parcel) -> AttemptResult:
        """Writes into the journal that every model has voted on these rows; the spared rows return to the queue.

        Raises StorageError.
        """
        self._fail_unasked(parcel, Failure(kind=Kind.TIED, message="every model that may answer has voted on this row"))
        return AttemptResult(then=FollowUp(requeue=spared))

    def _fail_unasked(self, parcel: Parcel, failure: Failure) -> None:
        """Writes a failure without a request into the journal, for each row. Raises StorageError."""
        draw, endpoint = Draw(route=LOCAL, models=()), self._rules.endpoint
        reply = RowResults(judged=failure, results=(failure,))
        for task in parcel:
            each = outcomes(reply, (task,), self._rules.retry, larger_left=False)
            attempt = attempt_of(reply, each, draw=draw, at=self._now(), endpoint=endpoint)
            self._recorded(self._journal.append(attempt))

    def _settle(self, response: Response[Task], sent: Outgoing, criteria: Criteria) -> AttemptResult:
        """Records the attempt and decides where its rows go. Synchronous from end to end, so nothing can be lost."""
        parcel, draw = response.ask.rows, response.ask.draw
        reply = self._read(response.judged, parcel, sent)
        judged, too_small = reply.judged, None
        if isinstance(judged, Failure) and judged.kind is Kind.CONTEXT_LENGTH:
            too_small = self._exchange.router.context_too_small(judged, draw, criteria.needs)
        larger_left = too_small is not None and too_small.larger_left
        each = outcomes(reply, parcel, self._rules.retry, larger_left=larger_left, repeats=sent.repeats)
        is_open = self._refusals.concerns(judged, draw)
        attempt = attempt_of(
            reply,
            tuple(replace(outcome, final=False) for outcome in each) if is_open else each,
            draw=draw,
            at=self._now(),
            latency=response.latency,
            pack_seed=sent.seed,
            endpoint=self._rules.endpoint,
            pack_check=parcel[0].check_of is not None,
        )
        try:
            stopped = self._record(attempt, judged, is_open=is_open)
        except StorageError as error:
            return AttemptResult(stopped=Stopped(reason=StopReason.DISK, message=str(error)))
        self._exchange.learn(response, lesson_of(attempt))
        self._packer.learn(attempt)
        then = FollowUp() if self._refusals.holds(attempt) else follow(parcel, attempt, reply, self._rules.retry)
        if too_small is not None:
            then = then.with_context_above(too_small.tokens)
        return self._result(response, then, stopped or stop_after(judged) or response.stopped)

    def _read(self, judged: Judged, parcel: Parcel, sent: Outgoing) -> RowResults:
        """The result for each row. A reply that does not fit into memory is a failure."""
        try:
            return read_results(judged, parcel, sent.codes, self._rules.answer)
        except MemoryError:
            failure = Failure(kind=Kind.BAD_RESPONSE, message="there is not enough memory to read the reply")
            return read_results(failure, parcel, sent.codes, self._rules.answer)

    def _record(self, attempt: Attempt, judged: Judged, *, is_open: bool) -> Stopped | None:
        """Writes the attempt into the journal. Returns the reason to stop if refusals show that the job is at fault.

        `is_open` as `Refusals.concerns` says. Raises StorageError.
        """
        self._recorded(self._journal.append(attempt))
        if is_open:
            return self._refusals.add(attempt)
        self._fail(self._refusals.settle(judged))
        return None

    def _result(self, response: Response[Task], then: FollowUp, stopped: Stopped | None) -> AttemptResult:
        """The result of a response, with the time to wait before the rows are asked again."""
        judged = response.judged
        if not isinstance(judged, Failure) or CONSEQUENCES[judged.kind] is not Consequence.ANOTHER_MODEL:
            return AttemptResult(then=then, stopped=stopped)
        hint = hinted_seconds(judged, self._clock()) if response.ask.draw.is_own else 0.0
        return AttemptResult(then=then, wait=None, hint=hint, stopped=stopped)

    def finish(self) -> None:
        """Fails the rows whose refusals are still held back, at the end of the run. Raises StorageError."""
        self._fail(self._refusals.close())

    def _fail(self, refused: Sequence[Attempt]) -> None:
        """Writes into the journal that refusals were the rows' own fault. Their requests are in the journal already."""
        for attempt in refused:
            final = tuple(replace(outcome, final=True) for outcome in attempt.outcomes)
            self._recorded(self._journal.append(replace(attempt, models=(), outcomes=final)))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
