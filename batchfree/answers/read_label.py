"""Which label a reply states.

The rule: a reply states a label if all of this holds.
- No other label stands anywhere in it; of labels that contain one another the longest counts.
- A sentence of it, the first or the last, says the label and no more: the bare label; a label after a lead that ends
  in a colon (`Answer:`, at most 12 words) or in a copula (`The sentiment of this review is`); a noun such as
  `sentiment` may follow, and a remark in brackets or after a dash.
- No word that denies, doubts or chooses (`not`, `hardly`, `or`, …) stands in any sentence that names the label, no word
  that takes back follows, and the label is not asked as a question.
- What surrounds that sentence is short: at most 60 words, so that no essay is read as an answer.
JSON around the label is undone first: exactly one of its values is a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from batchfree.answers.label_words import BARRED, NOUNS, RETRACTIONS, leads_up
from batchfree.answers.markup import fenced, unfenced
from batchfree.answers.rule import bad_answer
from batchfree.answers.strict_json import NotJson, brackets, parse
from batchfree.answers.vocabulary import DENIALS, Mention, Vocabulary, Word, Words, vocabulary, words_of
from batchfree.core.chat import Failure, Json

MAX_SURROUNDING_WORDS = 60
MAX_LEAD_WORDS = 12
MAX_SHOWN = 80

DENYING_KEYS = re.compile(r"\b(?:not|no|non|options?|choices?|rejected|excluded|labels|alternatives?|other)\b")


def read_label(text: str, labels: Sequence[str]) -> str | Failure:
    """The label that `text` states, or why it states none."""
    known = vocabulary(tuple(labels))
    return known.exact(text) or _inside(text, known) or _stated(text, known)


def label_of(value: Json, labels: Sequence[str]) -> str | Failure:
    """The label that a JSON value gives: as a text, as a number written like a label, or wrapped once or twice."""
    known = vocabulary(tuple(labels))
    leaves = list(_leaves(value))
    if len(leaves) == 1:
        return read_label(leaves[0], labels)
    found = {known.exact(leaf) for leaf in leaves} - {None}
    if len(found) == 1:
        return str(found.pop())
    return bad_answer(_no_label(known) if not found else _several(sorted(map(str, found))))


def _leaves(value: Json, depth: int = 0) -> Iterator[str]:
    """The texts and numbers within a JSON value, but for those whose key denies them."""
    if depth > 4 or value is None:
        return
    if isinstance(value, dict):
        for key, each in value.items():
            if not DENYING_KEYS.search(key.casefold().replace("_", " ")):
                yield from _leaves(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, depth + 1)
    else:
        yield value if isinstance(value, str) else str(value).casefold() if isinstance(value, bool) else str(value)


def _inside(text: str, known: Vocabulary) -> str | Failure | None:
    """The label in a fenced block or in JSON, where there is one; nothing around it may name another."""
    blocks = fenced(text)
    if len(blocks) == 1:
        inner, around = read_label(blocks[0], known.labels), unfenced(text)
    else:
        spans = brackets(text).spans if "{" in text or "[" in text else ()
        stripped = text.strip()
        if stripped[:1] == '"':
            spans, text = (slice(0, len(stripped)),), stripped
        if len(spans) != 1:
            return None
        try:
            value = parse(text[spans[0]])
        except NotJson:
            return None
        if isinstance(value, str) and value == text:
            return None
        inner, around = label_of(value, known.labels), text[: spans[0].start] + "\n" + text[spans[0].stop :]
        if isinstance(inner, Failure) and isinstance(value, list) and around.strip():
            return None
    if isinstance(inner, Failure):
        return inner
    others = {mention.label for mention in known.mentions(words_of(around).words)} - {inner}
    return bad_answer(_several([inner, *sorted(others)])) if others else inner


def _stated(text: str, known: Vocabulary) -> str | Failure:
    """The label that the words of a text state."""
    said = words_of(text)
    words = tuple(word for word in said.words if _speaks(word, known))
    said = Words(words=words, after=said.after)
    mentions = known.mentions(words)
    named = sorted({mention.label for mention in mentions})
    if len(named) != 1:
        return bad_answer(_several(named) if named else _no_label(known))
    label = named[0]
    if label not in known.labels:
        return bad_answer(
            "several labels are written alike but for case or punctuation; write the label exactly as listed"
        )
    if len(words) - (mentions[0].end - mentions[0].start) > MAX_SURROUNDING_WORDS:
        return bad_answer(f"it mentions {label!r} in a long text; answer with the label alone")
    if "~~" in text or any(_denied(mention, said, mentions) for mention in mentions):
        return bad_answer(f"it names {label!r} but does not clearly state it; answer with the label alone")
    if any(_states(mention, said, mentions) for mention in mentions):
        return label
    return bad_answer(f"it mentions {label!r} but does not state it as the answer; answer with the label alone")


def _speaks(word: Word, known: Vocabulary) -> bool:
    """Whether a word is more than decoration; an emoji that is no label and denies nothing is decoration."""
    if any(letter.isalnum() for letter in word.text) or any(mark in word.text for mark in DENIALS):
        return True
    return bool(known.mentions([word]))


def _sentence(mention: Mention, said: Words) -> tuple[int, int]:
    """The sentence that holds a mention, as the words from the first to before the second number."""
    start, end = mention.start, mention.end
    while start > 0 and said.words[start].before not in (".", "?"):
        start -= 1
    while end < len(said.words) and said.words[end].before not in (".", "?"):
        end += 1
    return start, end


def _denied(mention: Mention, said: Words, mentions: Sequence[Mention]) -> bool:
    """Whether the sentence around a mention denies, doubts or asks."""
    start, end = _sentence(mention, said)
    inside = {place for each in mentions for place in range(each.start, each.end)}
    others = [said.words[place].text for place in range(start, end) if place not in inside]
    ending = said.words[end].before if end < len(said.words) else said.after
    return ending == "?" or any(
        other in BARRED or other.endswith("n't") or any(mark in other for mark in DENIALS) for other in others
    )


def _states(mention: Mention, said: Words, mentions: Sequence[Mention]) -> bool:
    """Whether a sentence says the label and no more."""
    start, end = _sentence(mention, said)
    first, last = start == 0, end == len(said.words)
    lead = said.words[start : mention.start]
    return (
        (first or last)
        and _leads(lead, said.words[mention.start].before)
        and _trails(said.words[mention.end : end], mentions, mention)
        and not any(word.text in RETRACTIONS for word in said.words[end:])
    )


def _leads(lead: Sequence[Word], before: str) -> bool:
    """Whether the words ahead of a label, and the break between, only lead up to it."""
    if not lead:
        return True
    if len(lead) > MAX_LEAD_WORDS:
        return False
    if before in (":", "-"):
        return True
    clause = next((place for place in range(len(lead) - 1, -1, -1) if lead[place].before in (",", ":")), 0)
    return before == "" and leads_up(" ".join(word.text for word in lead[clause:]))


def _trails(tail: Sequence[Word], mentions: Sequence[Mention], mention: Mention) -> bool:
    """Whether the words after a label in its sentence leave it standing: a noun, the label again, or a remark."""
    texts = [word.text for word in tail]
    while texts and texts[0] in NOUNS and tail[len(tail) - len(texts)].before == "":
        texts.pop(0)
    if not texts:
        return True
    if any(each.start == mention.end for each in mentions):
        again = next(each for each in mentions if each.start == mention.end)
        return _trails(tail[again.end - again.start :], mentions, again)
    rest = tail[len(tail) - len(texts) :]
    if rest[0].before not in ("(", "-") or any(text in RETRACTIONS for text in texts):
        return False
    return not any(text[:1].isdigit() for text in texts) or any(text.startswith("confiden") for text in texts)


def _several(labels: Sequence[str]) -> str:
    names = ", ".join(repr(label.replace("\0", "")) for label in labels[:4])
    return f"it names more than one label ({names}); answer with exactly one"


def _no_label(known: Vocabulary) -> str:
    shown = ", ".join(known.labels)
    listed = f": {shown}" if len(shown) <= MAX_SHOWN else ""
    return f"it is none of the labels{listed}"


def remark_stands(remark: str, labels: Sequence[str]) -> bool:
    """Whether words after a label leave it standing: no other label, nothing that denies or takes back."""
    words = words_of(remark).words
    doubts = any(word.text in BARRED | RETRACTIONS or word.before == "?" for word in words)
    return not doubts and "?" not in remark and not vocabulary(tuple(labels)).mentions(words)
