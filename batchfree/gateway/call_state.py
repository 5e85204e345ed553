"""The state of a chat call between two attempts, and whether a reply is an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from batchfree import answers
from batchfree.answers import AnswerRule
from batchfree.answers.rule import bad_answer, with_origin
from batchfree.core.chat import Completion, Failure, Judged
from batchfree.core.finish_reasons import Ending
from batchfree.service.routing import Draw


@dataclass(frozen=True, slots=True, kw_only=True)
class CallState:
    """A chat call as the router sees it. `tried` names the models in order, or the route if no model is known."""

    tried: tuple[str, ...] = ()
    models_met: frozenset[str] = frozenset()
    attempts: int = 0
    failures: int = 0
    """Number of transient failures in a row. The backoff grows with it."""
    unreached: int = 0
    """Number of requests without a connection."""
    context_above: int | None = None
    """The size of a context that was too small, in tokens."""

    @property
    def voters(self) -> frozenset[str]:
        """The models that have voted. There are none, since a call has no votes."""
        return frozenset()

    @property
    def only_new_models(self) -> bool:
        """Whether the call can do without a request. It never can, since a client waits for the answer."""
        return False

    def after(self, draw: Draw, judged: Judged) -> CallState:
        """The state after an attempt that counts against the call."""
        met = {judged.model} if judged.model is not None else set() if draw.is_services else set(draw.models)
        name = judged.model or draw.models[0]
        return replace(
            self, tried=(*self.tried, name), models_met=self.models_met | met, attempts=self.attempts + 1, unreached=0
        )


def flaw_of(completion: Completion, rule: AnswerRule) -> Failure | None:
    """Why a reply is not passed on to the client; None if it is an answer.

    A reply that was cut by a limit of tokens is an answer: the client may have set the limit, and the finish reason
    names it.
    """
    if completion.ending is Ending.CUT:
        return None
    result = answers.read(completion, rule)
    if isinstance(result, Failure):
        return result
    if rule.schema is not None and not completion.tool_calls and not _is_json(completion.content):
        return with_origin(completion, bad_answer("there is text around the JSON"))
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
