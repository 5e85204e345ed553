"""When a fault of a scenario is played, and how several faults combine."""

from __future__ import annotations

import pytest
from support.emulated import FREE, GLM, LFM, ask, asking, content, emulation
from support.virtual_time import VirtualTime

CODES = ["k3x9", "t7qd", "m2vc", "p8wz", "a5rn", "b6sk", "c9th", "d4uj"]
PACK = "\n".join(f'<row id="{code}">text number {number} is good &amp; fine</row>' for number, code in enumerate(CODES))
PACK_ROWS = [f"text number {number} is good & fine" for number in range(len(CODES))]
LABELS = "Choose for every row one of these labels:\n- positive\n- negative"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("nth: 2", [2]),
        ("nth: [1, 4]", [1, 4]),
        ("nth: 2-4", [2, 3, 4]),
        ("nth: 5-", [5, 6]),
        ("nth: {every: 3}", [3, 6]),
        ("nth: {every: 3, from: 1}", [1, 4]),
        ("content: 'Number [35]'", [3, 5]),
        ("chance: 0", []),
        ("chance: 1", [1, 2, 3, 4, 5, 6]),
        ("model: 'emulated/lfm*', nth: 1, per: model", [2]),
        (f"model: [nobody/none, '{GLM}']", [1, 3, 5]),
        ("asked: openrouter/*", []),
        ("between: [2, 4]", [3, 4]),
        ("between: [4, null]", [5, 6]),
    ],
)
def test_a_rule_says_when_its_fault_is_played(rule, expected):
    time = VirtualTime()
    app = emulation(f"faults: [{{fault: server_500, {rule}}}]", time=time)
    for number in range(1, 7):
        ask(app, asking(f"Number {number}", model=GLM if number % 2 else LFM))
        time.pass_by(1)
    assert [logged.number for logged in app.state.log.requests if logged.status == 500] == expected


def test_chance_is_seeded_and_about_as_often_as_it_says():
    def failed(seed: int) -> list[str]:
        app = emulation(f"seed: {seed}\nfaults: [{{fault: server_500, chance: 0.3}}]")
        ask(app, *[asking(f"Number {number}", GLM) for number in range(300)])
        return [logged.body["messages"][0]["content"] for logged in app.state.log.requests if logged.status == 500]

    assert failed(1) == failed(1) != failed(2)
    assert 60 < len(failed(1)) < 120


def test_a_rule_about_the_free_router_leaves_concrete_models_alone():
    app = emulation("faults: [{fault: upstream_429, asked: openrouter/free}]")
    assert [reply.status_code for reply in ask(app, asking(model=FREE), asking(model=GLM))] == [429, 200]


def test_faults_of_different_stages_add_up():
    app = emulation("faults: [{fault: fenced}, {fault: padding, with: {seconds: 2}}, {fault: charged}]")
    (reply,) = ask(app, asking(model=GLM))
    assert reply.text.startswith(" ")
    assert content(reply).startswith("```")
    assert reply.json()["usage"]["cost"] > 0
    assert app.state.log.requests[0].fault == "fenced+padding+charged"


def test_a_reply_can_be_given_word_for_word():
    app = emulation("faults: [{respond: {status: 418, headers: {X-Odd: 'yes'}, body: {error: {message: teapot}}}}]")
    (reply,) = ask(app, asking())
    assert (reply.status_code, reply.headers["x-odd"], reply.json()) == (418, "yes", {"error": {"message": "teapot"}})


def test_the_free_router_may_try_further_models_before_it_gives_up():
    app = emulation(
        f"router: {{tries: 3}}\nfaults: [{{fault: upstream_429, nth: {{every: 1}}, model: '*[!{LFM[-6]}]'}}]"
    )
    (reply,) = ask(app, asking())
    assert reply.status_code == 429
    assert len(set(app.state.log.requests[0].tried)) == 3
