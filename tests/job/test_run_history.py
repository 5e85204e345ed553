"""The last runs and the current wait, from the events of a log."""

from __future__ import annotations

from batchfree.job.run_history import past_runs, waiting


def test_a_run_that_was_killed_is_told_as_cut_off() -> None:
    at = "2026-10-06T12:00:00Z"
    started, ended = {"at": at, "event": "started"}, {"at": at, "event": "ended", "exit_code": 0}
    runs = past_runs([[started, started, ended]])
    assert [run.ended_at is None for run in runs] == [False, True]


def test_a_wait_lasts_until_its_end_whatever_else_is_logged() -> None:
    events = [
        {"event": "waiting", "reason": "day", "until": "2026-10-06T12:00:00Z"},
        {"event": "model_resting", "until": "2026-10-06T11:00:00Z"},
        {"event": "progress"},
    ]
    noon = 1_791_288_000.0
    assert waiting(events, noon - 60) == ("day", noon)
    assert waiting(events, noon + 60) == (None, None)
    assert waiting([*events, {"event": "going_on"}], noon - 60) == (None, None)
    assert waiting([{"event": "waiting", "reason": "day", "until": noon}], noon - 60) == ("day", noon)  # of version 0.1
