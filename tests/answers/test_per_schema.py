"""What is worked out from a schema is kept while the schema is in use."""

from __future__ import annotations

from batchfree.answers.per_schema import MOST_KEPT, once_per_schema
from batchfree.core.chat import JsonObject


def test_a_schema_is_worked_on_once_until_many_others_have_come() -> None:
    worked_on = list[JsonObject]()

    @once_per_schema
    def title(schema: JsonObject) -> str:
        worked_on.append(schema)
        return str(schema["title"])

    first = {"title": "first"}
    assert [title(first), title(first), title({"title": "second"})] == ["first", "first", "second"]
    assert len(worked_on) == 2
    for number in range(3 * MOST_KEPT):
        assert title({"title": str(number)}) == str(number)
    assert title(first) == "first"
