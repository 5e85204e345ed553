"""What a routing decision depends on: the needs of the rows, and the state of the models at this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

import msgspec

from batchfree.service.routing.health import NEW, Health, refuses
from batchfree.service.routing.model import Model
from batchfree.service.routing.model_pool import ModelPool
from batchfree.service.routing.requirements import STRUCTURED, Requirements


class RoutedRow(Protocol):
    """What routing must know about a row."""

    @property
    def models_met(self) -> frozenset[str]:
        """The models that have seen the row; they are asked again only if no other model is left."""
        ...

    @property
    def voters(self) -> frozenset[str]:
        """The models whose vote the row has; they are never asked again."""
        ...

    @property
    def attempts(self) -> int:
        """How often the row was asked in this run."""
        ...

    @property
    def only_new_models(self) -> bool:
        """Whether the row needs no further request: then it does not wait for a model that rests for long."""
        ...


def _one_row(model_id: str) -> int:
    return 1


def _all_rows(rows: Sequence[Any], models: Sequence[Model]) -> int:
    return len(rows)


class Criteria(msgspec.Struct, frozen=True, kw_only=True):
    """What rows that may share a request need of the model that answers them.

    `wants_schema`: the request has a `response_format` if the model takes it. `salt` makes the draw repeatable: the
    same salt in the same situation draws the same models. `pack_size` is the number of rows in a pack for a model (by
    id), `rows_that_fit` the number of these rows that fit into one request to these models. `only` is the id of the
    only model that may answer; if it is gone or rests for long, the rows are not asked.
    """

    needs: Requirements
    wants_schema: bool = False
    salt: str
    pack_size: Callable[[str], int] = _one_row
    rows_that_fit: Callable[[Sequence[Any], Sequence[Model]], int] = _all_rows
    only: str | None = None

    @property
    def needs_schema(self) -> bool:
        """Whether only models that take a schema may answer."""
        return self.wants_schema and STRUCTURED in self.needs.parameters

    def load(self, model: Model, rows: Sequence[RoutedRow]) -> int:
        """The number of these rows that one request to the model would carry: the rows that it has not met."""
        unmet = sum(model.id not in row.models_met for row in rows)
        return min(unmet or len(rows), self.pack_size(model.id))


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the models at `now` (epoch seconds).

    `barren` counts the requests since the last answer, `barren_since` is when the first of them failed (epoch seconds),
    and `last_failure` is the message of the last one.
    """

    pool: ModelPool
    now: float
    health: Mapping[str, Health] = msgspec.field(default_factory=dict)
    barren: int = 0
    barren_since: float | None = None
    last_failure: str = ""

    @property
    def has_failures(self) -> bool:
        """Whether any model or request has failed so far."""
        return bool(self.health or self.barren)

    @property
    def today(self) -> date:
        """The UTC date."""
        return datetime.fromtimestamp(self.now, UTC).date()

    def health_of(self, model_id: str) -> Health:
        """What is known of a model; nothing is known of a new one."""
        return self.health.get(model_id, NEW)

    def takes_schema(self, model: Model) -> bool:
        """Whether the model lists `response_format` with a schema and has not refused it."""
        return STRUCTURED in model.parameters and not refuses(self.health_of(model.id), (STRUCTURED,))
