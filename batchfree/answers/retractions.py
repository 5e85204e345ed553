"""Words around an answer that say that it is no answer.

Behind an answer they take it back: `Wait, no.`, `that is wrong`, `I'm not sure`. A reason may deny or doubt something
else: `No. The text does not mention it.` In front of JSON they disown it: `For example:`, `A wrong answer is`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from batchfree.answers.vocabulary import Word, words_of

_STARTS = """
    wait actually correction hmm hm oops nope scratch alternatively otherwise instead or maybe perhaps possibly
    probably edit update erratum sorry apologies rather unless except kidding joking strike или oder ou o
"""
_ANYWHERE = """
    maybe perhaps unsure uncertain undecided reconsider reconsidering kidding joking oops nope hmm alternatively
    vielleicht
"""
_HEDGES = """
    really exactly quite entirely totally completely fully sure certain so necessarily at right correct true actually
    clearly convinced confident
"""
STARTS = frozenset(_STARTS.split())
"""Words that take an answer back if a sentence or clause begins with them."""
ANYWHERE = frozenset(_ANYWHERE.split())
"""Words that take an answer back at any place."""
ALONE = frozenset(["no", "not", "nein", "non", "нет", "不", "false", "wrong", "incorrect", "untrue"])
"""Words that take an answer back if they are a clause of their own."""
HEDGES = frozenset(_HEDGES.split())
"""Words that deny the answer together with a `not` in front: `not really`."""
FILLERS = frozenset(["well", "but", "and", "so", "ah", "um", "then", "though", "yet", "oh", "ok", "okay"])
"""Words in front of a sentence that don't change what it says."""

NOT = r"(?:not|never|n't)"
IS = r"(?:is|was|are|were|would be|may be|might be|could be|seems|looks|'s)"
MINE = r"(?:the|my|this|that) (?:\w+ )?(?:answer|label|classification|category|choice|response|reply|json|value|output)"
WRONG = r"(?:wrong|incorrect|mistaken|false|untrue|inaccurate|invalid|an? (?:mistake|error|typo))"
PHRASES = re.compile(
    rf"\b(?:i (?:was|am|may be|might be|could be) (?:\w+ )?{WRONG}|i made (?:\w+ )?(?:\w+ )?(?:mistake|error|typo)"
    r"|i (?:meant|mis(?:read|spoke|took|understood|classified|labell?ed)|take (?:that|it) back)"
    r"|i (?:can't|cannot|can not|could not|couldn't) (?:be sure|be certain|say|tell|decide|determine)"
    r"|on second thoughts?|(?:scratch|strike|ignore|disregard) (?:that|this|the above)|never ?mind|just kidding"
    r"|should (?:have been|read|be(?! (?:what|all|enough|fine|helpful|sufficient|valid)))"
    rf"|(?:it|this|that|{MINE}) (?:could|may|might)(?: (?!not)\w+)? (?:be|go)|either way"
    r"|(?:hard|difficult) to (?:say|tell|judge|decide)"
    rf"|(?:not|n't)(?: \w+)? (?:sure|certain|confident|convinced)"
    rf"|{MINE} (?:{IS} )?(?:\w+ )?(?:{WRONG}|not|isn't|wasn't|depends)"
    rf"|(?:it|this|that|these|{MINE}) ?{IS} (?:just |only |merely )?an? (?:\w+ )?"
    r"(?:example|placeholder|sample)(?! of))\b"
)
"""Phrases that take back an answer to any question."""
_THING = r"(?:answer|response|reply|output|result|json|value|object|label)"
_AUXILIARY = r"(?:(?:do|does|did|would|should|could|will|must)(?: not|n't)|cannot|can't|can not|won't|never)"
_SPEECH = r"(?:say|use|answer|give|return|output|write|accept|call|choose|send|reply|respond)"
DISOWNING = re.compile(
    rf"(?:.* )?(?:not|never)|(?:.* )?{_AUXILIARY} {_SPEECH}(?: \w+){{0,3}}"
    rf"|(?:.* )?(?:this|that|it|the following|{MINE}) ?{IS} (?:\w+ )?{WRONG}"
    rf"|(?:.* )?(?:wrong|incorrect|invalid|bad|unacceptable) (?:\w+ )?{_THING}(?: {IS}| looks like)?"
    rf"|(?:.* )?(?:for example|for instance|e g|e\.g|(?:as an|an|another) (?:\w+ )?example)(?: (?:of|for|{IS}) .*)?"
    rf"|(?:(?:an?|the) )?(?:example|sample|placeholder|template)(?: {_THING})?(?: {IS}| looks like)?"
    rf"|the (?:\w+ )?(?:format|schema|structure|template) (?:{IS}|looks like|wants|expects)"
)
"""A sentence in front of JSON that says that the JSON is not the answer."""
OPENING_FENCE = re.compile(r"(?:```|~~~)[\w-]*\s*\Z")
MAX_LEAD_WORDS = 40
IT = r"(?:that|this|it|which)"
SO = r"(?: (?:so|it|true|right|correct|accurate|really|the case))?"
DENIES_IT = re.compile(
    rf"{IT}(?: ?{IS})? (?:\w+ )?{WRONG}\b.{{0,40}}|{IT}(?: ?(?:{IS}|does|do|did|has|can|will))? ?{NOT}{SO}"
    rf"|{IT} (?:isn't|wasn't|doesn't|didn't|hasn't|can't|won't){SO}"
)
"""Clauses that deny a label such as `positive`. After `no` or `yes` they are reasons: `No. It does not.`"""
POLAR = frozenset(
    [
        "yes",
        "no",
        "true",
        "false",
        "y",
        "n",
        "ja",
        "nein",
        "oui",
        "non",
        "si",
        "sí",
        "да",
        "нет",
        "是",
        "否",
        "correct",
        "incorrect",
    ]
)
"""Labels that answer a question with yes or no."""


def takes_back(text: str) -> bool:
    """Whether a text behind an answer takes the answer back."""
    if not text:
        return False
    return any(sentence_takes_back(sentence, polar=True) for sentence in sentences_of(words_of(text).words))


def disowns(text: str) -> bool:
    """Whether the sentence that leads up to a JSON value, the end of this text, says that it is not the answer."""
    lead = OPENING_FENCE.sub("", text).rstrip()
    if not lead or lead[-1] in ".!?":
        return False
    words = words_of(lead[-1000:]).words
    if not words:
        return False
    *_, last = sentences_of(words)
    return DISOWNING.fullmatch(" ".join(word.text for word in last[-MAX_LEAD_WORDS:])) is not None


def sentences_of(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """The words sentence by sentence."""
    start = 0
    for place in range(1, len(words) + 1):
        if place == len(words) or words[place].before in (".", "?"):
            yield words[start:place]
            start = place


def sentence_takes_back(words: Sequence[Word], *, polar: bool) -> bool:
    """Whether a sentence or clause behind a label takes it back. `polar`: the labels answer with yes or no."""
    words = [word for word in words if any(map(str.isalnum, word.text))]
    texts = [word.text for word in words]
    while len(texts) > 1 and texts[0] in FILLERS:
        texts.pop(0)
    if not texts:
        return False
    breaks = [word.before for word in words[len(words) - len(texts) :]]
    if texts[0] in STARTS or not ANYWHERE.isdisjoint(texts):
        return True
    if texts[0] in ALONE and (len(texts) == 1 or breaks[1] != ""):
        return True
    if texts[0] == "not" and texts[1] in HEDGES:
        return True
    said = " ".join(texts[:60])
    return PHRASES.search(said) is not None or (not polar and DENIES_IT.fullmatch(said) is not None)
