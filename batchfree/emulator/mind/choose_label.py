"""Chooses a label for a text, by the label's own words and by words that suggest the labels of common jobs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

CUES = {
    "positive": "good great excellent love wonderful best perfect beautiful enjoy fun happy easy again gern",
    "negative": "bad terrible awful worst hate boring poor disappoint waste broke slow failed back dead smells kaputt",
    "arrival": "deliver order status tracking waiting",
    "auto": "car gas traffic tire oil drive mpg mechanic directions tank shop",
    "banking": "balance transfer deposit checking savings bill fraud transaction freeze",
    "credit": "limit apr rewards declined lost visa score",
    "home": "list shopping todo lights tv music song play order buy calendar reminder remind items",
    "kitchen": "recipe cook restaurant food calories meal dinner eat ingredients bake nutritional reservation pasta",
    "meta": "accent language whisper volume louder speak name cancel call calling shut end yes no repeat",
    "talk": "hello joke old hobbies thanks bot human real doing alright who",
    "travel": "flight hotel trip plane luggage passport shots translate exchange carry",
    "utility": "weather time alarm timer date definition spell measure gallons roll flip coin calculator",
    "work": "meeting pto vacation boss payday taxes schedule salary earn off insurance",
}
"""A word of the label → words in a text that suggest the label."""
FALLBACK = {"neutr", "other", "none", "out", "unkno"}
"""Stems of labels that are chosen if no word of the text suggests another label."""
SMALL = {"a", "an", "and", "are", "i", "in", "is", "it", "my", "not", "of", "or", "the", "to"}
"""Words that suggest no label."""


def choose_label(text: str, labels: Sequence[str], *, right: str | None, errs: float, accuracy: float) -> str:
    """The label that fits best, or a wrong one if `errs` is not below `accuracy`; both are from 0 to 1.

    `right` is the right label, if the scenario scripts it.
    """
    points = [float(label == right) for label in labels] if right in labels else _points(text, labels)
    order = sorted(range(len(labels)), key=lambda place: (-points[place], (place * 7 + len(text)) % len(labels)))
    if errs < accuracy:
        return labels[order[0]]
    wrong = order[1:] or order
    distance = (errs - accuracy) / (1 - accuracy)
    return labels[wrong[int(distance**2 * len(wrong))]]


def _points(text: str, labels: Sequence[str]) -> list[float]:
    """How strongly the text suggests each label. Words that several labels share count less."""
    found = _stems(text)
    own = [_stems(label) for label in labels]
    shared = [sum(stem in stems for stems in own) for stem in found]
    weights = dict(zip(found, (2 / max(1, count) for count in shared), strict=True))
    return [
        sum(weights[stem] for stem in stems & found) + len(_cues(label) & found) + 0.1 * bool(stems & FALLBACK)
        for label, stems in zip(labels, own, strict=True)
    ]


@lru_cache(maxsize=4_096)
def _stems(text: str) -> frozenset[str]:
    """The first letters of every word in lower case, common endings cut off; `cardArrival` is two words."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())
    return frozenset(re.sub(r"(?<=...)(?:ings?|ed|es|s|ly)$", "", word)[:5] for word in words if word not in SMALL)


@lru_cache(maxsize=4_096)
def _cues(label: str) -> frozenset[str]:
    """The stems that suggest a label."""
    return frozenset[str]().union(*(_stems(CUES[word]) for word in CUES if _stems(word) & _stems(label)))
