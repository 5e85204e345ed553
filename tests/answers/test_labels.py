"""Labels in sentences: the same words around any label are read alike, and no reply gives a label that it does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from batchfree import answers
from batchfree.answers import Answer, AnswerRule
from batchfree.answers.vocabulary import REPLACED
from batchfree.core.chat import Completion

YES_NO = ("yes", "no")
TRUTH = ("true", "false")
MOOD = ("positive", "negative", "neutral")
LETTERS = ("A", "B", "C", "D")
SPAM = ("spam", "not spam")
STARS = ("1", "2", "3", "4", "5")
TOPIC = ("World", "Sports", "Business", "Sci/Tech")
SUPPORT = ("card_arrival", "lost_card", "other", "none")
CLAIM = ("supported", "refuted", "not enough info")
GERMAN = ("ja", "nein", "unklar")
QUALITY = ("good", "bad")
LABEL_SETS = (YES_NO, TRUTH, MOOD, LETTERS, SPAM, STARS, TOPIC, SUPPORT, CLAIM, GERMAN, QUALITY)

ACCEPTED = (
    "{}", "{}.", "{}!", "**{}**", "`{}`", '"{}"', "“{}”", "'{}'", "({})", "[{}]", "<answer>{}</answer>", "# {}",
    "> {}", "Answer: {}", "Answer: {}.", "**Answer:** {}", "**Answer: {}**", "Label: {}", "Final answer: {}",
    "Final Answer: **{}**", "The answer is {}.", "The answer is **{}**.", "The correct answer is {}.",
    "The correct label is {}.", "My answer is {}.", "Option {}", "Label {}", "Answer {}", "Option {}.",
    "The answer is ({}).", "I choose {}.", "I would choose {}.", "I would say {}.", "{} is correct.",
    "{} is the correct answer.", "{} is the answer.", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "$\\boxed{{\\text{{{}}}}}$",
    "The answer is $\\boxed{{{}}}$.", "Sure! {}", "Sure: {}", "Sure, {}.", "Certainly! {}.",
    "Sure! Here is the label you asked for:\n\n{}\n\nLet me know if you need anything else!",
    "Here is the answer:\n\n{}", "{}\n\nLet me know if you have any other questions.",
    "{}\n\nIs there anything else I can help you with?", "{}. The text mentions it.",
    "{}. The text does not mention it.", "{}.\n\nThe text does not mention it.",
    "{}\n\nThe text does not say anything about it.", "Answer: {}. It was never mentioned.",
    "{}. There is no evidence for it.", "{}. Nothing in the text says so.",
    "{}. The author isn't happy with the delivery.", "{}. He never said that.", "{}, because the text says so.",
    "{}, since it is not mentioned.", "{}, the text does not mention it.", "{}, the text mentions it.",
    "{} - the text does not mention it.", "{} – it is in the text", "{} (see the first line)", "{} (not in the text)",
    "{}: the text does not mention it.", "{}\nReason: the text does not mention it.", "{}\nConfidence: high",
    "{} (95% confidence)", "Label: {}\nReason: nothing was wrong with it.",
    "The text does not mention it, so the answer is {}.", "The text mentions it, so the answer is {}.",
    "The text does not mention it.\n\nAnswer: {}", "It was not late. Final answer: {}", "The text is clear. {}.",
    "{}\n\nExplanation: The author could not be happier.", "{}. Or so the author says.\n\nFinal answer: {}",
    '{{"label": "{}"}}', '{{"answer": "{}", "reason": "not mentioned"}}', '```json\n{{"label": "{}"}}\n```',
    "```\n{}\n```", "{{'label': '{}'}}", "<think>Not that one.</think>\n{}", "1. {}", "- {}", "* **{}**",
    "Classification: {}", "Category: {}", "Based on the text, the answer is {}.",
    "After reading the text, I would say {}.", "So the answer is {}.", "{}. I hope this helps!",
    "{}\n\nNote: The text is not long.", "The text praises it.\n\nLabel: {}\n\nThe author is glad.",
)  # fmt: skip
"""Forms that state the label in the braces."""
REFUSED = (
    "Not {}.", "not {}", "It is not {}.", "It isn't {}", "I don't think it is {}.", "It could be {}.", "Maybe {}.",
    "Perhaps {}.", "{}?", "Is it {}?", "{}? Not really.", "{}. Wait, no.", "{}. Actually, I take that back.",
    "{}. Maybe.", "{}, maybe.", "{} or something else", "Either {} or something else.", "{}. I am not sure.",
    "{}. I'm not certain about this.", "{} (not)", "{}. I was wrong.", "{}. Sorry, I made a mistake.",
    "{}. Scratch that.", "{}. Hmm, let me reconsider.", "{}... or is it?", "{} is wrong.",
    "{} is not the right label.", "{} is incorrect.", "Anything but {}.", "I would rule out {}.",
    "It is hard to say whether it is {}.", "I can't say {}.", "Unlikely {}.", "The options include {}.", "~~{}~~",
    "❌ {}", "Nobody would say {}.", "{}. On second thought, that is a stretch.",
    "{}. It could also be something else.", "{}. This answer is wrong.", "{}, but that would be wrong.",
    "{}, unless it is a joke.", "{}, or not.", "{}: 0.1", "If it were longer, it would be {}.", "{}. No, wait.",
    "Rather than {}, something else.", "Possible labels: {}", "{}. Perhaps not.", "Definitely not {}.",
    "It's far from {}.", "{}. Correction: none of them.", "{} seems wrong to me.",
)  # fmt: skip
"""Forms that state no label."""


CHOICES = (
    *(
        "{}) Paris",
        "({}) Paris",
        "{}. Paris",
        "{}: Paris",
        "{} - Paris",
        "{} – Paris",
        "Option {}: Paris",
        "Option {}) Paris",
    ),
    *(
        "Answer: {}) Paris",
        "Answer: ({}) Paris",
        "Answer: {}. Paris",
        "The answer is {}) Paris.",
        "The answer is ({}) Paris.",
    ),
    *(
        "The correct answer is {}: Paris.",
        "**{}) Paris**",
        "**{}.** Paris",
        "{}) Paris is the capital.",
        "[[{}]]",
    ),
    *("{}) 42", "({}) x = 3.5", "{}: 42 kg of it", "{}) Not listed", "{}) It is not a city", "\\\\boxed{{{}}} Paris"),
    *(
        "Final Answer: {}) Paris\n\nParis is not in Spain.",
        "The correct option is ({}).",
        "I pick option {}.",
        "Choice {}",
    ),
    *(
        "The correct choice is {}.",
        "The answer is option {}.",
        "{}) Paris\n\nExplanation: It is a city in France.",
        "{})",
    ),
)
"""Forms of an answer to a multiple choice question."""
MEANT: tuple[tuple[tuple[str, ...], str, str | None], ...] = (
    (YES_NO, "yes\nFor example:\n```\nyes\n```", None),
    # signs
    *((STARS, text, None) for text in ("<4", ">4", "< 4", "<= 4", "~4", "~ 4", "!4", "!= 4", "4-", "Answer: <4")),
    (STARS, "<4>", "4"),
    (STARS, "=> 4", "4"),
    (STARS, "Answer => 4", "4"),
    (STARS, "Great! 4", "4"),
    (MOOD, "!positive", None),
    (MOOD, "!= positive", None),
    (MOOD, "positive!", "positive"),
    (MOOD, "Yes! positive", "positive"),
    (LETTERS, "B-", None),
    (LETTERS, "Grade: **B-**", None),
    (LETTERS, "B+", None),
    (LETTERS, "B - the grade", "B"),
    (("<18", "18-30", ">30"), "Age: <18", "<18"),
    (("<18", "18-30", ">30"), "Age: >30", ">30"),
    # yes and no
    (YES_NO, "Yes. The text mentions it.", "yes"),
    (YES_NO, "No. The text does not mention it.", "no"),
    (YES_NO, "No.\n\nThe text does not mention it.", "no"),
    (YES_NO, "Answer: No. It does not.", "no"),
    (YES_NO, "Answer: Yes. It does.", "yes"),
    (YES_NO, "Yes, it does.", "yes"),
    (YES_NO, "No, it does not.", "no"),
    (YES_NO, "No, it doesn't.", "no"),
    (YES_NO, "No, there isn't any.", "no"),
    (YES_NO, "No. Not in this text.", "no"),
    (YES_NO, "No - not mentioned.", "no"),
    (YES_NO, "No (not mentioned)", "no"),
    (YES_NO, "No, not at all.", None),
    (YES_NO, "Yes. No doubt about it.", "yes"),
    (YES_NO, "Yes. There is no reason to think otherwise.", "yes"),
    (YES_NO, "No. There is no mention of it.", "no"),
    (YES_NO, "There is no mention of it.", None),
    (YES_NO, "No mention of it.", None),
    (YES_NO, "The text does not mention it, so the answer is no.", "no"),
    (YES_NO, "The text does not mention it. So: no.", "no"),
    (YES_NO, "yes, no", None),
    (YES_NO, "Yes. No.", None),
    (YES_NO, "No. Well, yes.", None),
    (YES_NO, "Yes and no.", None),
    (YES_NO, "Yes or no?", None),
    (YES_NO, "Yes, but no.", None),
    (YES_NO, "No, wait: yes.", None),
    (YES_NO, "Not yes.", None),
    (YES_NO, "No, not yes.", None),
    (YES_NO, "The answer is not no.", None),
    (YES_NO, "I can't say yes.", None),
    (YES_NO, "Not at all.", None),
    (YES_NO, "Yes. However, it is only mentioned in passing.", "yes"),
    (YES_NO, "Oh no!", None),
    (YES_NO, "No problem!", None),
    (YES_NO, "No problem! The answer is yes.", "yes"),
    (YES_NO, "Yes: the text says so", "yes"),
    (YES_NO, "yes|no", None),
    # true and false
    (TRUTH, "True. The statement is correct.", "true"),
    (TRUTH, "False. The statement is incorrect.", "false"),
    (TRUTH, "False. The statement is not correct.", "false"),
    (TRUTH, "False. That is wrong.", "false"),
    (TRUTH, "False. The claim is wrong, since Oslo is in Norway.", "false"),
    (TRUTH, "The statement is false.", "false"),
    (TRUTH, "The statement is true.", "true"),
    (TRUTH, "It is not true.", None),
    (TRUTH, "It is true that this is false.", None),
    (TRUTH, "True? No.", None),
    (TRUTH, "That's not false.", None),
    # moods
    (MOOD, "Positive. No complaints at all.", "positive"),
    (MOOD, "Negative. The sound isn't good and nothing works.", "negative"),
    (MOOD, "Neutral. It neither praises nor complains.", "neutral"),
    (MOOD, "Positive. Not really.", None),
    (MOOD, "Positive. It is not.", None),
    (MOOD, "Positive. That isn't true.", None),
    (MOOD, "Positive. That is wrong.", None),
    (MOOD, "Positive. My answer is not final.", None),
    (MOOD, "Positive overall.", "positive"),
    (MOOD, "Overall positive", "positive"),
    (MOOD, "The overall sentiment is negative.", "negative"),
    (MOOD, "Not negative, so positive.", None),
    (MOOD, "Positive, not negative.", None),
    (MOOD, "More positive than negative.", None),
    (MOOD, "Positive. Or maybe neutral.", None),
    (MOOD, "Positive, I guess?", None),
    (MOOD, "Positive, although the delivery was slow.", "positive"),
    (MOOD, "Positive. The delivery was slow, though.", "positive"),
    (MOOD, "Positive. It could not be better.", "positive"),
    (MOOD, "Positive. The sound could be better.", "positive"),
    (MOOD, "Positive. I would buy it again instead of the old one.", "positive"),
    (MOOD, "Negative. Wrong size, bad smell, or both.", "negative"),
    (MOOD, "Negative. Would not buy again.", "negative"),
    (MOOD, "Negative. I'm sorry you had to read this.", "negative"),
    (MOOD, "Mixed. Mostly positive.", None),
    (MOOD, "The review isn't negative.", None),
    (MOOD, "Sentiment: positive. Tone: friendly.", "positive"),
    (MOOD, "Sentiment: positive; tone: negative", None),
    (MOOD, "I'd go with negative here", None),
    (MOOD, "I'd go with negative.", "negative"),
    (MOOD, "negative!!! the worst", "negative"),
    (MOOD, "positive\nnegative\nneutral", None),
    (MOOD, "Labels: positive, negative, neutral\nAnswer: negative", None),
    (MOOD, '{"positive": true, "negative": false}', None),
    (MOOD, '{"label": "positive"}\n\nWait, that is wrong.', None),
    (MOOD, '{"label": "positive"} {"label": "negative"}', None),
    (MOOD, '{"label": "not positive"}', None),
    (MOOD, "positive (score: 0.2)", None),
    (MOOD, "pos", None),
    # letters
    (LETTERS, "B or C", None),
    (LETTERS, "B and C", None),
    (LETTERS, "A, B", None),
    (LETTERS, "AB", None),
    (LETTERS, "A/B", None),
    (LETTERS, "B) Paris, not A) London", None),
    (LETTERS, "A) London\nB) Paris", None),
    (LETTERS, "A and B", None),
    (LETTERS, "Both A and B", None),
    (LETTERS, "Either A or B.", None),
    (LETTERS, "A or B? B.", None),
    (LETTERS, "Not A.", None),
    (LETTERS, "Paris", None),
    (LETTERS, "B. It is a city in France.", "B"),
    (LETTERS, "A. It is a city in France.", "A"),
    (LETTERS, "It is a city in France.", None),
    (LETTERS, "A city in France.", None),
    (LETTERS, "The answer is a city.", None),
    (LETTERS, "The answer is A.", "A"),
    (LETTERS, "A is correct.", "A"),
    (LETTERS, "Option A is correct.", "A"),
    (LETTERS, "A is not correct.", None),
    (LETTERS, "Answer: a", "A"),
    (LETTERS, "b", "B"),
    (LETTERS, "Vitamin C", None),
    (LETTERS, "Plan B", None),
    (LETTERS, "B+", None),
    (LETTERS, "I think the answer is D.", "D"),
    (LETTERS, "E", None),
    (LETTERS, "Final answer: B\n\nNot A, because London is not in France.", None),
    # spam
    (SPAM, "Spam. It is not a normal message.", "spam"),
    (SPAM, "Not spam. It is a normal message.", "not spam"),
    (SPAM, "This is not spam.", "not spam"),
    (SPAM, "This is spam.", "spam"),
    (SPAM, "This is not not spam.", None),
    (SPAM, "Not spam, it is a normal message.", "not spam"),
    (SPAM, "It is definitely not spam.", "not spam"),
    (SPAM, "no spam", None),
    (SPAM, "spam or not spam", None),
    # numbers
    (STARS, "4", "4"),
    (STARS, "4 stars", "4"),
    (STARS, "Rating: 4", "4"),
    (STARS, "4. The sound is great.", "4"),
    (STARS, "4 out of 5", None),
    (STARS, "4/5", None),
    (STARS, "4.5", None),
    (STARS, "-4", None),
    (STARS, "3-4", None),
    (STARS, "3 or 4", None),
    (STARS, "I would give it a 4.", None),
    (STARS, "The rating is 4.", "4"),
    (STARS, "14", None),
    (STARS, "4th", None),
    (STARS, '{"rating": 4}', "4"),
    # topics
    (TOPIC, "Sci/Tech. It is not about business.", None),
    (TOPIC, "Sci/Tech. It is not about money.", "Sci/Tech"),
    (TOPIC, "Category: Sports (not about politics)", "Sports"),
    (TOPIC, "World news", None),
    (TOPIC, "The topic is World.", "World"),
    (TOPIC, "It's a small world.", None),
    # support
    (SUPPORT, "Lost card. The customer does not have it any more.", "lost_card"),
    (SUPPORT, "None. No category fits.", "none"),
    (SUPPORT, "None of the labels fits.", None),
    (SUPPORT, "none of the above", None),
    (SUPPORT, "Other. It is none of these.", "other"),
    (SUPPORT, "The customer has other problems.", None),
    (SUPPORT, "card arrival", "card_arrival"),
    (SUPPORT, "lost_card, card_arrival", None),
    # claims
    (CLAIM, "Not enough info. The text does not say.", "not enough info"),
    (CLAIM, "Refuted. The text says that it is not so.", "refuted"),
    (CLAIM, "Supported. The text says so.", "supported"),
    (CLAIM, "The claim is not supported.", None),
    (CLAIM, "There is not enough info.", None),
    (CLAIM, "The claim is refuted by the text.", None),
    # other languages
    (GERMAN, "Ja, der Text erwähnt es.", None),
    (GERMAN, "Nein. Der Text erwähnt es nicht.", "nein"),
    (GERMAN, "Ja. Der Text erwähnt es.", "ja"),
    (GERMAN, "Antwort: Nein", "nein"),
    (GERMAN, "Ja oder nein?", None),
    (GERMAN, "Das ist unklar.", None),
    # good and bad
    (QUALITY, "Sure! Here is the label you asked for:\n\ngood\n\nLet me know if you need anything else!", "good"),
    (QUALITY, "Good question! Bad.", None),
    (QUALITY, "Good morning! The label is bad.", None),
    (QUALITY, "not bad", None),
    (QUALITY, "Not bad at all, so good.", None),
    (QUALITY, "Good. Not a bad word.", None),
    (QUALITY, "Too good to be true", None),
    (QUALITY, "Have a good day!", None),
    (QUALITY, "Bad. Have a nice day!", "bad"),
)
"""Replies as people and models write them, and the label that they state; None for a reply to be refused."""


def read(content: str, labels: tuple[str, ...]) -> str | None:
    result = answers.read(Completion(model="m", content=content, finish_reason="stop"), AnswerRule(labels=labels))
    return result.value if isinstance(result, Answer) else None


@pytest.mark.parametrize("labels", LABEL_SETS, ids=lambda labels: labels[0])
@pytest.mark.parametrize("form", ACCEPTED)
def test_a_form_is_accepted_around_every_label(form: str, labels: tuple[str, ...]) -> None:
    assert [read(form.format(label, label), labels) for label in labels] == list(labels)


@pytest.mark.parametrize("labels", LABEL_SETS, ids=lambda labels: labels[0])
@pytest.mark.parametrize("form", REFUSED)
def test_a_form_is_refused_around_every_label(form: str, labels: tuple[str, ...]) -> None:
    said = [read(form.format(label), labels) for label in labels]
    # "not spam" is itself what the label "spam" is after a "not"
    assert all(each is None or (labels == SPAM and "not spam" in form.format("spam").casefold()) for each in said), said


@pytest.mark.parametrize("form", CHOICES)
def test_a_choice_is_read_in_its_usual_forms(form: str) -> None:
    assert [read(form.format(letter), LETTERS) for letter in LETTERS] == list(LETTERS)


@pytest.mark.parametrize(("labels", "content", "expected"), MEANT)
def test_a_reply_gives_the_label_that_it_states_or_none(
    labels: tuple[str, ...], content: str, expected: str | None
) -> None:
    assert read(content, labels) == expected


@pytest.mark.parametrize(("signs", "pattern"), [each[:2] for each in REPLACED], ids=lambda value: ascii(value)[:9])
def test_every_replaced_text_holds_one_of_its_signs(signs: str, pattern: re.Pattern[str]) -> None:
    @seed(1)
    @settings(max_examples=15, deadline=None, database=None)
    @given(st.from_regex(pattern))
    def check(text: str) -> None:
        assert any(sign in text for sign in signs)

    check()
