"""The page of a report in a real browser: what it shows, and that nothing from outside becomes markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.rehearsal import Rehearsal, scenario

from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.report.write_report import write_report

PAYLOADS = (
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=\"document.title='owned'\"><circle/></svg>",
    '" onmouseover="document.title=\'owned\'" x="',
    "' autofocus onfocus='document.title=1",
    "<style>body{display:none}</style>",
    "</style><style>*{display:none!important}</style>",
    "<!-- <script> \u2028\u2029",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnitirw desrever\u202c",
    '<iframe src="javascript:alert(1)"></iframe><base href="http://evil.invalid/">',
)
LABELS = ("yes <b>&amp;</b>", 'no\' "x"')
SERVICE = """
limits: {per_minute: null, per_day: null}
router: {draws_classifier: false}
pool: {accuracy: 0.7, follows: 1.0}
answers: [{match: "Say", answer: "ok"}]
"""


def texts(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{n}{payload}", "prompt": f"Say {n}: {payload}", "gold": payload}
        for n in range(count)
        for payload in PAYLOADS
    ]


class HostileService(httpx.AsyncBaseTransport):
    """The emulator, with hostile model names and providers; now and then an error with a hostile message."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner, self._posts = inner, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if request.method != "POST" or response.status_code != 200:
            return response
        self._posts += 1
        payload = PAYLOADS[self._posts % len(PAYLOADS)]
        body = json.loads(await response.aread())
        await response.aclose()
        if self._posts % 7 == 0:
            return httpx.Response(502, json={"error": {"code": 502, "message": payload}})
        body |= {"model": f"evil/{payload}", "provider": payload}
        return httpx.Response(200, json=body)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a job whose prompts, ids, labels, models, answers and errors are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    spec = {
        "name": "job <i>x<i>",
        "answer": {"labels": list(LABELS)},
        "votes": {"min": 2, "max": 3},
        "evaluate": {"expected": "gold"},
        "input": {"path": "rows.jsonl", "id": "id"},
    }
    job = Rehearsal(folder, texts(3), spec, scenario(SERVICE))
    job.run_over(HostileService(InProcessTransport(job.emulator)))
    return write_report(job.job(), None, job.time.clock()).path


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a job with packs, a pilot, votes, expected values and pack checks; some packs mix rows up."""
    words = ("awful bad", "great lovely")
    rows = [
        {"prompt": f"Review {n}: {words[n % 2]} food.", "gold": ("negative", "positive")[n % 2]} for n in range(120)
    ]
    spec = {
        "answer": {"labels": ["positive", "negative"]},
        "votes": {"min": 2, "max": 4, "agree": 2},
        "pilot": {"rows": 15},
        "pack": 5,
        "evaluate": {"expected": "gold", "pack_check": 20},
    }
    text = SERVICE.replace("answers:", "#").replace("0.7", "0.6")
    text += "faults: [{fault: swap_codes, content: '^<row', chance: 0.3}]\n"
    job = Rehearsal(tmp_path_factory.mktemp("calm"), rows, spec, scenario(text))
    job.run()
    return write_report(job.job(), None, job.time.clock()).path


def opened(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())


def find(browser: Any, selector: str) -> list[Any]:
    return list(browser.find_elements("css selector", selector))


def visible_rows(browser: Any) -> list[Any]:
    return find(browser, "#table tbody > tr:not(.detail)")


def press(browser: Any, element: Any) -> None:
    browser.execute_script("arguments[0].click()", element)


def test_the_page_loads_nothing_and_its_policy_allows_only_its_own_script(calm: Path) -> None:
    text = calm.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe" not in policy[1]
    outside = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!#)', outside)
    assert not re.search(r"\s(style|on\w+)=", outside)
    assert "http://" not in outside.split("<pre")[0]


def test_hostile_text_stays_text(hostile: Path, browser: Any) -> None:
    opened(browser, hostile)
    assert browser.title == "job <i>x<i>: report"
    assert find(browser, "main img, main iframe, main base, main circle:not(.dot), main i, main b b, main style") == []
    assert len(find(browser, "script")) == 2
    for button in find(browser, "#table th button"):
        press(browser, button)
    shown = browser.execute_script("return document.body.textContent")
    for payload in PAYLOADS:
        assert payload in shown
    assert "evil/<img" in shown
    assert find(browser, "#failures td")
    assert browser.title == "job <i>x<i>: report"
    assert find(browser, "main img, main iframe, main base, main i, main style") == []
    assert [entry["message"] for entry in browser.get_log("browser")] == [], "the policy had nothing to refuse"


def test_the_policy_refuses_a_script_that_would_get_in(calm: Path, browser: Any) -> None:
    """A second line of defence: were something not escaped, the browser would still not run it."""
    spoiled = calm.with_name("spoiled.html")
    text = calm.read_text(encoding="utf-8")
    spoiled.write_text(text.replace("<main", "<script>document.title='owned'</script><main"), encoding="utf-8")
    opened(browser, spoiled)
    assert browser.title == "job: report"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_a_number_of_the_confusion_matrix_shows_its_rows(calm: Path, browser: Any) -> None:
    opened(browser, calm)
    wrong = next(cell for cell in find(browser, ".matrix td:not(.diagonal) button"))
    number = int(wrong.text)
    press(browser, wrong)
    assert f"{number} of 120 rows match (expected " in find(browser, "#matches")[0].text
    assert len(visible_rows(browser)) == min(number, 50)
    assert all("not as expected" in row.text for row in visible_rows(browser))


def test_a_doubtful_row_opens_with_prompt_reply_votes_and_attempts(calm: Path, browser: Any) -> None:
    opened(browser, calm)
    press(browser, find(browser, "#doubtful button")[0])
    (row,) = visible_rows(browser)
    titles = [title.text for title in find(browser, ".detail h4")]
    assert titles == ["Prompt", "Answer", "Expected", "Votes", "Raw reply", "Attempts"]
    assert len(find(browser, ".detail li")) >= 4
    button = row.find_element("css selector", "button")
    assert button.get_attribute("aria-expanded") == "true"
    press(browser, button)
    assert find(browser, ".detail") == []


def test_rows_can_be_searched_filtered_and_paged(calm: Path, browser: Any) -> None:
    opened(browser, calm)
    assert len(visible_rows(browser)) == 50
    press(browser, find(browser, "#more")[0])
    assert len(visible_rows(browser)) == 100
    field = find(browser, "#search input")[0]
    field.send_keys("REVIEW 11:")
    assert [row.text.split()[0] for row in visible_rows(browser)] == ["12"]
    field.clear()
    field.send_keys("no such text")
    assert find(browser, "#matches")[0].text.startswith("0 of 120 rows match")
    press(browser, find(browser, "#search button")[0])
    browser.execute_async_script("setTimeout(arguments[0], 20)")
    assert len(visible_rows(browser)) == 50
    find(browser, "#search [name=status] [value=wrong]")[0].click()
    assert visible_rows(browser)
    assert [row.text for row in visible_rows(browser) if "not as expected" not in row.text] == []


def test_the_pack_check_and_the_pilot_stand_on_the_page(calm: Path, browser: Any) -> None:
    opened(browser, calm)
    (packs,), (models,) = find(browser, "#packs"), find(browser, "#models")
    assert "20 rows of packs, chosen at random, were also asked alone." in packs.text
    assert "McNemar's test" in packs.text
    assert "Cohen's kappa" in packs.text
    assert "were kept, ranked by expected values" in models.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off_on_a_laptop_or_a_phone(calm: Path, browser: Any, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    opened(browser, calm)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    beyond = """
        document.querySelectorAll("details").forEach((each) => (each.open = true));
        return [...document.querySelectorAll("body *")]
          .filter((each) => !each.closest(".scroll, .hidden, .skip, thead, script"))
          .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
          .map((each) => each.outerHTML.slice(0, 99));
    """
    assert browser.execute_script(beyond) == []
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_chart_is_hidden_from_screen_readers_and_stands_beside_its_figures(calm: Path, browser: Any) -> None:
    opened(browser, calm)
    assert all(chart.get_attribute("aria-hidden") == "true" for chart in find(browser, "svg"))
    tables = find(browser, "table")
    assert all(table.find_elements("css selector", "caption") for table in tables)
    assert all(section.get_attribute("aria-labelledby") for section in find(browser, "main > section"))
