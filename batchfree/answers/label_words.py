"""The words that may stand around a label in a reply that states it, and the words that must not."""

from __future__ import annotations

import re

_NEGATIONS = """
    not no non never neither nor none cannot cant can't isn't isnt aren't wasn't don't doesn't didn't won't wouldn't
    couldn't shouldn't without hardly barely scarcely rarely anti un
    nicht kein keine pas nie niet geen inte ikke ei tampoco sin не нет 不 不是 非 没有
"""
_DOUBTS = """
    opposite contrary wrong incorrect incorrectly false untrue unlikely doubt doubtful either or if unless except maybe
    perhaps possibly might may could instead rather than versus vs far anything unclear uncertain unsure undecided
    refuse options choices candidates labels categories classes possible example examples ruled rejected excluded
    exclude avoid whether nobody difficult wonder guess
"""
_NOUNS = """
    sentiment sentiments label category class classification tone emotion polarity review text message topic intent
    overall star stars
"""
_WEAK = "no none not a i it us or and is other in on may so both any all"

NEGATIONS = frozenset(_NEGATIONS.split())
"""Words that deny the label behind them."""
DOUBTS = frozenset(_DOUBTS.split())
"""Words that doubt a label beside them or offer a choice."""
BARRED = NEGATIONS | DOUBTS
"""A clause with one of these words states no label."""
NOUNS = frozenset(_NOUNS.split())
"""Nouns that may follow a label: `positive sentiment`."""
WEAK = frozenset(_WEAK.split())
"""Labels that are everyday words. Within a sentence they don't count as labels (`there is no reason`, `a city`)."""
JOINTS = frozenset(["and", "or", "nor", "plus", "und", "oder", "et", "ou"])
"""Words that join two labels."""
CONCLUSIONS = frozenset(["so", "thus", "therefore", "hence", "then", "meaning", "which", "making"])
"""Words that begin a conclusion. A denial in an earlier clause says nothing about the conclusion."""
_CLAUSE_STARTS = """
    it its it's this that that's the they he she there i we you as because since given although though even which who my
"""
CLAUSE_STARTS = frozenset(_CLAUSE_STARTS.split())
"""Words that begin a reason behind a label and a comma: `No, it does not.`"""
CALLS = frozenset(
    ["sure", "certainly", "absolutely", "okay", "ok", "well", "so", "thus", "overall", "clearly", "right"]
)
"""Words in front of a comma and a label that add no meaning: `Sure, positive`."""
NOT_A_REASON = frozenset(
    [
        "true",
        "false",
        "yes",
        "no",
        "low",
        "high",
        "medium",
        "none",
        "null",
        "likely",
        "unlikely",
        "possible",
        "impossible",
    ]
)
"""Words behind a label and a colon that rate the label: `positive: low`."""

OPENING = r"(?:(?:so|thus|therefore|hence|ok|okay|sure|overall|clearly|certainly|finally|well|and|then|which means) )*"
SUBJECT = r"(?:(?:the|this|that|its|it|my|your|answer|label|class|category|sentiment)(?: \S+){0,8} )?"
VERB = r"(?:is|it's|that's|are|was|be|as|belongs to|falls under|falls into|has|have|expresses|conveys|shows)"
FIRST_PERSON = (
    r"(?:i|i'd|i'll|i would|i will|i have)(?: \S+){0,6}? "
    r"(?:say|choose|chose|pick|picked|select|answer|label|go with|go for|as)"
)
REST = (
    r"(?: (?:is|a|an|the|clearly|definitely|simply|about|best|labeled|labelled|classified|described|category|class|as|"
    r"it|it's|this|option|choice|answer|letter|number|label))*"
)
NOUN = (
    r"(?:the |my |correct |right |best |final |most |likely |appropriate )*"
    r"(?:answer|option|choice|label|category|class|classification|letter|number|rating|score|verdict|sentiment|result)"
)
LEAD = re.compile(
    rf"{OPENING}(?:{SUBJECT}{VERB}|{FIRST_PERSON}){REST}|{OPENING}{NOUN}|(?:overall|clearly|definitely|certainly|simply)"
)
STATES = re.compile(rf"\b{NOUN}\b")
CONFIRMS = re.compile(r"(?:is|would be|seems|fits|applies)(?: \S+){0,5}")
_GOOD = "correct right best answer label choice option fitting appropriate suitable accurate final one category match"
GOOD = frozenset(_GOOD.split())
"""Words that end a clause such as `is the correct answer`."""


def leads_up(text: str) -> bool:
    """Whether a clause only announces a label: `the sentiment of this review is`, `option`."""
    return LEAD.fullmatch(text) is not None


def confirms(text: str) -> bool:
    """Whether the words behind a label say that it is the answer: `is the correct option`."""
    return CONFIRMS.fullmatch(text) is not None and text.split()[-1] in GOOD and BARRED.isdisjoint(text.split())


_PLEASANTRY = r"""
    (?:please )?(?:let me know|feel free|don't hesitate)\b.*
    (?:i )?hope (?:this|that|it) (?:helps|is helpful|works)\b.*
    (?:is there |do you (?:need|want|have) |would you like |can i |may i |shall i |should i |anything else|any other).*
    (?:if you (?:need|have|want|would like|require)|for (?:any )?(?:more|further)) .*
    (?:i'?m |i am |i'll be |always )?(?:happy|glad|here) to (?:help|assist|answer|classify|explain)\b.*
    (?:thanks|thank you|you're welcome|great|(?:great|good) question|no problem|best regards)(?: (?:for|to|with)\b.*)?
    (?:of course|sure|sure thing|certainly|absolutely|okay|ok|alright|got it|understood|happy to help|glad to help)
    (?:here you go|here you are|here it is|have a (?:nice|great|good) day)
"""
PLEASANTRY = re.compile("|".join(line.strip() for line in _PLEASANTRY.strip().splitlines()))
"""Sentences that belong to no answer: `Sure!`, `Let me know if you need anything else.`"""


def is_pleasantry(text: str) -> bool:
    """Whether a sentence is only polite."""
    return PLEASANTRY.fullmatch(text) is not None
