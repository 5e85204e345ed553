"""The words that may, and those that must not, surround a label in a reply that states it."""

from __future__ import annotations

import re

_BARRED = """
    not no non never neither nor none cannot cant can't isn't isnt aren't wasn't don't doesn't didn't won't wouldn't
    couldn't shouldn't without hardly barely scarcely rarely opposite contrary wrong incorrect incorrectly false untrue
    unlikely doubt doubtful either or if unless except maybe perhaps possibly might may could instead rather than versus
    vs far anything unclear uncertain unsure undecided refuse option options choice choices candidates labels categories
    classes possible example examples ruled rejected excluded exclude avoid anti un
    nicht kein keine pas nie niet geen inte ikke ei tampoco sin не нет 不 不是 非 没有
"""
_RETRACTIONS = """
    actually however wait correction instead scratch mistake wrong incorrect incorrectly reconsider reconsidering
    alternatively otherwise or maybe perhaps unsure uncertain unclear kidding joking false untrue unless could might
    hmm oops nope not
"""
_NOUNS = (
    "sentiment sentiments label category class classification tone emotion polarity review text message topic intent"
)

BARRED = frozenset(_BARRED.split())
"""Words that deny, doubt or offer a choice. A sentence with one of them states no label."""
RETRACTIONS = frozenset(_RETRACTIONS.split())
"""Words that take back what stands before them."""
NOUNS = frozenset([*_NOUNS.split(), "intent", "overall"])
"""Nouns that may follow a label: `positive sentiment`."""

OPENING = r"(?:(?:so|thus|therefore|hence|ok|okay|sure|overall|clearly|certainly|finally|well|and) )*"
SUBJECT = r"(?:(?:the|this|that|its|it|my|your|answer|label|class|category|sentiment)(?: \S+){0,8} )?"
VERB = r"(?:is|it's|that's|are|was|be|as|belongs to|falls under|falls into|has|have|expresses|conveys|shows)"
FIRST_PERSON = r"(?:i|i'd|i'll|i would|i will|i have)(?: \S+){0,6}? (?:say|choose|pick|select|answer|label|go with|as)"
REST = (
    r"(?: (?:is|a|an|the|clearly|definitely|simply|about|best|labeled|labelled|classified|described|category|class|as|"
    r"it|it's|this))*"
)
LEAD = re.compile(rf"{OPENING}(?:{SUBJECT}{VERB}|{FIRST_PERSON}){REST}")


def leads_up(text: str) -> bool:
    """Whether a clause says no more than that a label follows: `the sentiment of this review is`, `i would say`."""
    return LEAD.fullmatch(text) is not None
