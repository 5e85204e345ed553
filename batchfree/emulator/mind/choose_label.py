"""Choosing a label for a text by simple means: shared words, a small lexicon, the form of a question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from batchfree.emulator.mind.lexicon import GROUP_STEMS, label_stems, mood, stem, stems_of, words

MOODS = {
    "positive": stems_of("positive pos good praise favorable happy yes like love satisfied"),
    "negative": stems_of("negative neg bad criticism complaint unfavorable unhappy no dislike angry"),
    "neutral": stems_of("neutral neither objective none"),
    "mixed": stems_of("mixed both ambivalent"),
}
ELSE = stems_of("other oos none unknown misc miscellaneous general else out scope neutral unclear")
WHAT_PLACE = r"(what|which) (city|country|state|river|capital|continent|ocean|island|county)"
WHAT_PERSON = r"what (\w+ )?(president|actor|author|man|woman|person|actress)"
HOW_MUCH = r"how (many|much|long|far|old|tall|big|often|fast|deep|high)"
DEFINE = r"what (is|are|does|was) (a |an |the )?\w+( \w+)?( mean)? ?\??$"
QUESTIONS = (
    (re.compile(r"\b(stand for|abbreviation|acronym)\b"), "abbreviation"),
    (re.compile(rf"^({HOW_MUCH}|when|what year|what is the (date|population))"), "number"),
    (re.compile(rf"^where|^{WHAT_PLACE}|\bcapital of"), "location"),
    (re.compile(rf"^who\b|^whose|^{WHAT_PERSON}"), "human"),
    (re.compile(rf"^(why|how (do|does|did|can|is|are|was|to))|^{DEFINE}"), "description"),
    (re.compile(r"^(what|which|name)"), "entity"),
)


def scores(text: str, labels: Sequence[str]) -> list[float]:
    """How much speaks for each label; 0 is nothing at all."""
    stems = Counter(map(stem, words(text)))
    in_labels = Counter(root for label in labels for root in set(label_stems(label)))
    mentioned = sum(all(root in stems for root in label_stems(label)) for label in labels)
    if mentioned > 1:
        stems = Counter({root: number for root, number in stems.items() if root not in in_labels})
    kind, moods = _question(text), mood(text)
    starts = frozenset(root[:5] for root in stems if len(root) >= 5)
    groups = {name for label in labels for name in _groups(label)}
    hits = {name: min(4.0, sum(min(2, stems[cue]) for cue in GROUP_STEMS[name][1] & stems.keys())) for name in groups}
    if kind in hits:
        hits[kind] += 3.0
    return [_score(stems, label, in_labels, len(labels), hits, moods, starts) for label in labels]


@lru_cache(maxsize=4_096)
def _groups(label: str) -> tuple[str, ...]:
    own = set(label_stems(label))
    return tuple(name for name, (of_labels, _) in GROUP_STEMS.items() if own & of_labels)


def _score(
    stems: Counter[str],
    label: str,
    in_labels: Counter[str],
    count: int,
    hits: dict[str, float],
    moods: tuple[int, int],
    starts: frozenset[str],
) -> float:
    score = sum(hits[name] for name in _groups(label))
    own = set(label_stems(label))
    for root in own:
        weight = 1.0 + math.log(max(1.0, count / in_labels[root]))
        if root in stems:
            score += 2.0 * weight
        elif root[:5] in starts:
            score += 1.0 * weight
    return score + _mood_score(moods, own) + 0.01 * bool(own & ELSE)


def _question(text: str) -> str | None:
    lowered = text.strip().lower()
    return next((name for pattern, name in QUESTIONS if pattern.search(lowered)), None)


def _mood_score(moods: tuple[int, int], own: set[str]) -> float:
    good, bad = moods
    if own & MOODS["positive"]:
        return max(0.0, 1.5 * (good - bad))
    if own & MOODS["negative"]:
        return max(0.0, 1.5 * (bad - good))
    if own & MOODS["mixed"]:
        return 2.0 * bool(good and bad and abs(good - bad) <= 1)
    return 0.8 * (good == bad) if own & MOODS["neutral"] else 0.0


def choose(text: str, labels: Sequence[str], *, right: str | None, errs: float, accuracy: float) -> str:
    """The best label, or now and then another one: `errs` is a draw from 0 to below 1, `right` is known beforehand."""
    if right is not None and right in labels:
        best, ranked = right, [label for label in labels if label != right]
    else:
        points = scores(text, labels)
        order = sorted(range(len(labels)), key=lambda index: (-points[index], (index * 7 + len(text)) % len(labels)))
        best, ranked = labels[order[0]], [labels[index] for index in order[1:]]
    if errs < accuracy or not ranked:
        return best
    place = (errs - accuracy) / (1 - accuracy)
    return ranked[int(place * place * len(ranked))]
