"""Which answers are right, and the figures over many of them."""

from __future__ import annotations

import random

import pytest

from batchfree.quality.evaluation import MOST_LABELS, Evaluation, Score, ScoredAnswer, evaluate, score_answer
from batchfree.quality.intervals import Proportion
from batchfree.quality.normalise import answer_key, normalise
from batchfree.quality.scoring import ScoringRule, field_of, is_correct


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Positive", "positive"),
        ("  two\n words\t", "two words"),
        ('"Paris."', "paris"),
        ("**Paris**", "paris"),
        ("`x = 1`;", "x = 1"),
        ("“Oui”", "oui"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁne", "fine"),
        ("ＡＢＣ１", "abc1"),
        ("cafe\u0301", "café"),
        ("C++", "c++"),
        ("-5", "-5"),
        ("$5", "$5"),
        (".5", ".5"),
        ("Wait... what?!", "wait... what"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_differences_in_writing_are_taken_away(text, normal):
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": [1, 2]}, {"b": [1.0, 2], "a": 1.0}, True),
        ({"a": "Yes."}, {"a": "yes"}, True),
        ([1, 2], [2, 1], False),
        (1, True, False),
        (1, "1", True),
        (1.5, 1.25, False),
        (None, "null", True),
    ],
)
def test_equal_answers_have_equal_keys(one, other, equal):
    assert (answer_key(one) == answer_key(other)) is equal


@pytest.mark.parametrize(
    ("answer", "expected", "correct"),
    [
        ("Positive.", "positive", True),
        ("negative", "positive", False),
        (5, "5", True),
        (5.0, 5, True),
        ("5.0", 5, False),
        (True, "true", True),
        (True, 1, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("", "positive", False),
        (None, "positive", None),
        ("positive", None, None),
    ],
)
def test_exact(answer, expected, correct):
    assert is_correct(answer, expected, ScoringRule()) is correct


@pytest.mark.parametrize(
    ("answer", "expected", "tolerance", "correct"),
    [
        ("42", 42, 0, True),
        ("The answer is 42.", "42", 0, True),
        ("$1,234.50", 1234.5, 0, True),
        ("1,234,567 people", 1234567, 0, True),
        ("−7 °C", -7, 0, True),
        (".5", 0.5, 0, True),
        ("1e3", 1000, 0, True),
        ("42kg", 42, 0, True),
        ("5-7", 5, 0, False),
        ("either 42 or 43", 42, 0, False),
        ("42, so 42.0", 42, 0, True),
        ("42", "43", 0, False),
        (1.1, 1.0, 0.1, True),
        (1.11, 1.0, 0.1, False),
        (0.1 + 0.2, 0.3, 0, True),
        ("forty-two", 42, 0, False),
        (True, 1, 0, False),
        ([42], 42, 0, False),
        ("42", "many", 0, False),
        ("1" * 400, "1" * 399 + "2", 1, True),
        (None, 42, 0, None),
        ("42", None, 0, None),
    ],
)
def test_numeric(answer, expected, tolerance, correct):
    assert is_correct(answer, expected, ScoringRule(metric="numeric", tolerance=tolerance)) is correct


@pytest.mark.parametrize(
    ("answer", "expected", "correct"),
    [
        ("It is Paris, of course.", "paris", True),
        ("Parisian life", "Paris", False),
        ("I know", "no", False),
        ("no, it is not", "No", True),
        ("year 2024", "202", False),
        ("year 2024", 2024, True),
        ("know no", "no", True),
        ("中国的首都是北京市", "北京", True),
        ("C++ is fast", "C++", True),
        ("x-ray", "ray", True),
        (["a", "Paris"], "paris", True),
        ("anything", None, None),
    ],
)
def test_contains(answer, expected, correct):
    assert is_correct(answer, expected, ScoringRule(metric="contains")) is correct


@pytest.mark.parametrize(
    ("answer", "expected", "correct"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": "Yes.", "c": 3}}, {"a": {"b": "yes"}}, True),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({"a": [1, 2, 3]}, {"a": [3, 1]}, True),
        ({"a": [1, 2]}, {"a": [1, 1]}, False),
        # The first expected element fits both, the second only the first one of the answer.
        ([{"k": 1, "l": 1}, {"k": 1}], [{"k": 1}, {"k": 1, "l": 1}], True),
        ({"a": [1]}, {"a": 1}, False),
        ({"a": 1}, [], False),
        ({"a": 1, "b": 2}, '{"a": 1}', True),
        ('{"a": 1, "b": 2}', {"a": 1}, True),
        ("{broken", {"a": 1}, False),
        ("red", "Red", True),
        ({"a": 1}, None, None),
    ],
)
def test_json_subset(answer, expected, correct):
    assert is_correct(answer, expected, ScoringRule(metric="json-subset")) is correct


@pytest.mark.parametrize(
    ("answer", "field", "value"),
    [
        ({"label": "x"}, "label", "x"),
        ({"items": [{"name": "y"}]}, "items[0].name", "y"),
        ({"items": []}, "items[0].name", None),
        ({"label": "x"}, "label.deep", None),
        ({"label": "x"}, "other", None),
        ('{"label": "x"}', "label", "x"),
        ("text", "label", None),
        (["x"], "[0]", "x"),
    ],
)
def test_a_field_is_a_path_into_the_answer(answer, field, value):
    assert field_of(answer, field) == value


def test_an_answer_without_the_field_is_wrong():
    rule = ScoringRule(field="label")
    assert is_correct({"other": "x"}, "x", rule) is False
    assert is_correct({"label": "x", "other": "y"}, "x", rule) is True


# Newcombe, Statistics in Medicine 17 (1998), page 862, table I, method 3.
@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_as_published(count, total, low, high):
    interval = Proportion(count=count, total=total).interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_wilsons_interval_stays_within_0_and_1():
    assert Proportion(count=5, total=5).interval.high == 1.0
    assert Proportion(count=0, total=1).interval.low == 0.0
    nothing = Proportion(count=0, total=0)
    assert (nothing.share, nothing.interval.low, nothing.interval.high) == (None, 0.0, 1.0)


def scored(*pairs: str, model: str | None = None) -> list[ScoredAnswer | None]:
    """Answers from pairs of letters: the expected label and the given one."""
    return [score_answer(pair[1], pair[0], ScoringRule(), model) for pair in pairs]


def figures(evaluation: Evaluation) -> dict[str, tuple[float | None, float | None, float | None]]:
    """Precision, recall and F1 by label."""
    return {each.label: (each.precision.share, each.recall.share, each.f1) for each in evaluation.overall.labels}


def test_precision_recall_and_confusion_by_hand():
    """Ten answers: a is right 3 times of 4, b 2 of 4, c is never given, and d is given but never expected."""
    found = evaluate(scored("aa", "aa", "aa", "ab", "bb", "bb", "ba", "bd", "ca", "cb"))
    assert found.overall.accuracy == Proportion(count=5, total=10)
    assert figures(found) == {
        "a": (3 / 5, 3 / 4, pytest.approx(2 / 3)),
        "b": (2 / 4, 2 / 4, 1 / 2),
        "c": (None, 0.0, 0.0),
        "d": (0.0, None, 0.0),
    }
    assert found.overall.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.overall.confusion == {
        ("a", "a"): 3,
        ("a", "b"): 1,
        ("b", "a"): 1,
        ("b", "b"): 2,
        ("b", "d"): 1,
        ("c", "a"): 1,
        ("c", "b"): 1,
    }


def test_every_model_has_figures_of_its_own():
    found = evaluate([*scored("aa", "bb", model="one"), *scored("ab", model="two"), *scored("aa")])
    assert found.overall.accuracy == Proportion(count=3, total=4)
    assert {model: score.accuracy.share for model, score in found.models.items()} == {"one": 1.0, "two": 0.0}
    assert found.models["two"].confusion == {("a", "b"): 1}


def test_what_can_not_be_scored_is_left_out():
    unscored = [score_answer("a", None, ScoringRule()), score_answer(None, "a", ScoringRule())]
    assert unscored == [None, None]
    assert evaluate([*unscored, *scored("aa")]).overall.accuracy == Proportion(count=1, total=1)


def test_nothing_to_score_has_no_figures():
    found = evaluate([])
    assert found.overall.accuracy.share is None
    assert found.overall.labels == ()
    assert found.overall.confusion == {}
    assert found.overall.macro_f1 is None
    assert found.models == {}


def test_a_single_answer_has_figures():
    assert figures(evaluate(scored("aa"))) == {"a": (1.0, 1.0, 1.0)}
    assert figures(evaluate(scored("ab"))) == {"a": (None, 0.0, 0.0), "b": (0.0, None, 0.0)}


def test_spellings_of_one_label_are_counted_together_under_the_expected_one():
    answers = [score_answer(given, "Positive", ScoringRule()) for given in ("positive", "POSITIVE.", "Negative")]
    found = evaluate(answers)
    assert figures(found) == {"Negative": (0.0, None, 0.0), "Positive": (1.0, 2 / 3, 0.8)}
    assert found.overall.confusion == {("Positive", "Positive"): 2, ("Positive", "Negative"): 1}


def test_free_texts_have_an_accuracy_and_no_labels():
    texts = [f"text {number}" for number in range(MOST_LABELS + 1)]
    found = evaluate(score_answer(text, text, ScoringRule(), f"model {len(text)}") for text in texts)
    assert found.overall.accuracy == Proportion(count=len(texts), total=len(texts))
    assert {model: score.accuracy.total for model, score in found.models.items()} == {
        "model 6": 10,
        "model 7": 90,
        "model 8": 1,
    }
    for score in (found.overall, *found.models.values()):
        assert score.labels == ()
        assert score.confusion == {}


@pytest.mark.parametrize(
    ("answer", "expected", "rule"),
    [
        ("about 42", "42", ScoringRule(metric="numeric")),
        ("It is Paris.", "Paris", ScoringRule(metric="contains")),
        ({"a": 1, "b": 2}, {"a": 1}, ScoringRule(metric="json-subset")),
    ],
)
def test_answers_that_may_differ_from_the_expected_text_are_no_labels(answer, expected, rule):
    found = evaluate([score_answer(answer, expected, rule, "one")])
    assert found.models["one"].accuracy == Proportion(count=1, total=1)
    assert found.overall.labels == ()
    assert found.models["one"].labels == ()


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (82, 100, "82 of 100 (82 %, 95 % interval 73–88 %)"),
        (10, 10, "10 of 10 (100 %, 95 % interval 72–100 %)"),
        (9, 9, "9 of 9"),
        (0, 0, "0 of 0"),
    ],
)
def test_a_share_is_written_with_its_counts_and_its_interval_and_not_at_all_below_ten(
    count: int, total: int, text: str
) -> None:
    proportion = Proportion(count=count, total=total)
    assert str(proportion) == text
    assert (proportion.to_json()["share"] is None) == (total < 10)


def test_intervals_of_f1_are_those_of_other_samples_of_the_same_answers() -> None:
    rng = random.Random(3)
    cells = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "a"), ("c", "c"), ("c", "a")]
    weights = [40, 20, 50, 10, 15, 15]

    def drawn() -> Score:
        pairs = rng.choices(cells, weights, k=150)
        return evaluate(ScoredAnswer(model=None, expected=a, answer=b, correct=a == b) for a, b in pairs).overall

    samples = [drawn() for _ in range(1_000)]
    means = sorted(score.macro_f1 or 0.0 for score in samples)
    found = [score.macro_f1_interval for score in samples[:100]]
    widths = [each.high - each.low for each in found if each is not None]
    assert sum(widths) / 100 == pytest.approx(means[975] - means[25], rel=0.15)
    (label,) = [each for each in samples[0].labels if each.label == "a"]
    scores = sorted(score.labels[0].f1 or 0.0 for score in samples)
    assert label.f1_interval is not None
    assert label.f1_interval.high - label.f1_interval.low == pytest.approx(scores[975] - scores[25], rel=0.25)
