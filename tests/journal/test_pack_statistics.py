"""The statistics of packs: by model and size, by the result of each row, by place."""

from __future__ import annotations

import json

from batchfree.journal.pack_statistics import PackCounter, PackedRowStatus, PackReply


def test_packs_are_counted_by_model_size_result_and_place() -> None:
    answered, missing = PackedRowStatus.ANSWERED, PackedRowStatus.MISSING
    counter = PackCounter()
    assert counter.statistics() is None
    counter.add(PackReply(model="m", statuses=(answered, answered), labels=("a", "b"), unknown=1))
    counter.add(PackReply(model="m", statuses=(answered, missing), labels=("a", None)))
    counter.add(
        PackReply(
            model="n", statuses=(answered, PackedRowStatus.CUT_OFF, PackedRowStatus.INVALID), labels=("b", None, None)
        )
    )
    measured = counter.statistics()
    assert measured is not None
    shown = measured.to_json()
    json.dumps(shown)
    assert (shown["packs"], shown["rows"]) == (3, 7)
    assert shown["shares"]["missing"] == round(1 / 7, 4)
    assert shown["yield"][0] == {"model": "m", "size": 2, "packs": 2, "rows": 4, "share": 0.75}
    assert shown["labels_by_place"][0] == {"place": 0, "rows": 3, "shares": {"a": 0.6667, "b": 0.3333}}
    assert str(measured).startswith("3 replies to packs of 2.3 rows on average: 4 of 7 rows answered, 1 missing")
