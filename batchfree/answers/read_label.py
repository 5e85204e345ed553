"""Which label a reply states.

A reply states a label if all of these hold:
- It names no other label. Of labels that contain one another the longest counts.
- Its first or its last sentence says the label and nothing else. The label may follow a lead: one that ends in a colon
  (`Answer:`, at most 12 words) or a clause such as `The sentiment of this review is`. A noun such as `sentiment` may
  follow the label, and so may a remark in brackets or after a dash.
- No sentence that names the label denies, doubts or offers a choice (`not`, `hardly`, `or`, …) or is a question. No
  later word takes the label back.
- The reply has at most 60 other words, so an essay is not read as an answer.
In JSON exactly one value must be a label; the JSON is then read as that value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from batchfree.answers.fences import fenced, unfenced
from batchfree.answers.label_words import BARRED, NOUNS, RETRACTIONS, leads_up
from batchfree.answers.rule import bad_answer
from batchfree.answers.strict_json import NotJson, brackets, parse
from batchfree.answers.vocabulary import DENIALS, Mention, Vocabulary, Word, Words, vocabulary, words_of
from batchfree.core.chat import Failure, Json

MAX_SURROUNDING_WORDS = 60
MAX_LEAD_WORDS = 12
MAX_SHOWN = 80

DENYING_KEYS = re.compile(r"\b(?:not|no|non|options?|choices?|rejected|excluded|labels|alternatives?|other)\b")


def read_label(text: str, labels: Sequence[str]) -> str | Failure:
    """The label that the text states, or why it states none."""
    known = vocabulary(tuple(labels))
    return known.exact(text) or _label_in_block(text, known) or _label_in_text(text, known)


def label_of(value: Json, labels: Sequence[str]) -> str | Failure:
    """The label in a JSON value: a text, a number that is written like a label, or either of them within objects."""
    known = vocabulary(tuple(labels))
    leaves = list(_leaves(value))
    if len(leaves) == 1:
        return read_label(leaves[0], labels)
    found = {known.exact(leaf) for leaf in leaves} - {None}
    if len(found) == 1:
        return str(found.pop())
    return bad_answer(_names_none(known) if not found else _names_several(sorted(map(str, found))))


def _leaves(value: Json, depth: int = 0) -> Iterator[str]:
    """The texts and numbers within a JSON value, without those under a key such as `rejected` or `options`."""
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


def _label_in_block(text: str, known: Vocabulary) -> str | Failure | None:
    """The label in a fenced block or in JSON; None if there is neither. The text around it must name no other label."""
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
    return bad_answer(_names_several([inner, *sorted(others)])) if others else inner


def _label_in_text(text: str, known: Vocabulary) -> str | Failure:
    """The label that the sentences of a text state."""
    reply = words_of(text)
    words = tuple(word for word in reply.words if _has_meaning(word, known))
    reply = Words(words=words, after=reply.after)
    mentions = known.mentions(words)
    named = sorted({mention.label for mention in mentions})
    if len(named) != 1:
        return bad_answer(_names_several(named) if named else _names_none(known))
    label = named[0]
    if label not in known.labels:
        return bad_answer("several labels differ only in case or punctuation; write the label exactly as it is listed")
    if len(words) - (mentions[0].end - mentions[0].start) > MAX_SURROUNDING_WORDS:
        return bad_answer(f"it mentions {label!r} in a long text; answer with the label alone")
    if "~~" in text or any(_is_denied(mention, reply, mentions) for mention in mentions):
        return bad_answer(f"it names {label!r} but does not clearly state it; answer with the label alone")
    if any(_is_stated(mention, reply, mentions) for mention in mentions):
        return label
    return bad_answer(f"it mentions {label!r} but does not state it as the answer; answer with the label alone")


def _has_meaning(word: Word, known: Vocabulary) -> bool:
    """Whether a word carries meaning. An emoji is decoration unless it is a label or a denial."""
    if any(letter.isalnum() for letter in word.text) or any(mark in word.text for mark in DENIALS):
        return True
    return bool(known.mentions([word]))


def _sentence_around(mention: Mention, reply: Words) -> tuple[int, int]:
    """The sentence around a mention, as the numbers of its first word and of the word after its last."""
    start, end = mention.start, mention.end
    while start > 0 and reply.words[start].before not in (".", "?"):
        start -= 1
    while end < len(reply.words) and reply.words[end].before not in (".", "?"):
        end += 1
    return start, end


def _is_denied(mention: Mention, reply: Words, mentions: Sequence[Mention]) -> bool:
    """Whether the sentence around a mention denies or doubts the label, or asks a question."""
    start, end = _sentence_around(mention, reply)
    inside = {place for each in mentions for place in range(each.start, each.end)}
    others = [reply.words[place].text for place in range(start, end) if place not in inside]
    ending = reply.words[end].before if end < len(reply.words) else reply.after
    return ending == "?" or any(
        other in BARRED or other.endswith("n't") or any(mark in other for mark in DENIALS) for other in others
    )


def _is_stated(mention: Mention, reply: Words, mentions: Sequence[Mention]) -> bool:
    """Whether the sentence around a mention says the label and nothing else."""
    start, end = _sentence_around(mention, reply)
    first, last = start == 0, end == len(reply.words)
    lead = reply.words[start : mention.start]
    return (
        (first or last)
        and _is_lead(lead, reply.words[mention.start].before)
        and _is_trail(reply.words[mention.end : end], mentions, mention)
        and not any(word.text in RETRACTIONS for word in reply.words[end:])
    )


def _is_lead(lead: Sequence[Word], before: str) -> bool:
    """Whether the words before a label, and the break after them, say no more than that a label follows."""
    if not lead:
        return True
    if len(lead) > MAX_LEAD_WORDS:
        return False
    if before in (":", "-"):
        return True
    clause = next((place for place in range(len(lead) - 1, -1, -1) if lead[place].before in (",", ":")), 0)
    return before == "" and leads_up(" ".join(word.text for word in lead[clause:]))


def _is_trail(tail: Sequence[Word], mentions: Sequence[Mention], mention: Mention) -> bool:
    """Whether the words after a label in its sentence take nothing back: a noun, the label again, or a remark."""
    texts = [word.text for word in tail]
    while texts and texts[0] in NOUNS and tail[len(tail) - len(texts)].before == "":
        texts.pop(0)
    if not texts:
        return True
    if any(each.start == mention.end for each in mentions):
        again = next(each for each in mentions if each.start == mention.end)
        return _is_trail(tail[again.end - again.start :], mentions, again)
    rest = tail[len(tail) - len(texts) :]
    if rest[0].before not in ("(", "-") or any(text in RETRACTIONS for text in texts):
        return False
    return not any(text[:1].isdigit() for text in texts) or any(text.startswith("confiden") for text in texts)


def _names_several(labels: Sequence[str]) -> str:
    names = ", ".join(repr(label.replace("\0", "")) for label in labels[:4])
    return f"it names more than one label ({names}); answer with exactly one"


def _names_none(known: Vocabulary) -> str:
    shown = ", ".join(known.labels)
    listed = f": {shown}" if len(shown) <= MAX_SHOWN else ""
    return f"it is none of the labels{listed}"


def is_harmless_remark(remark: str, labels: Sequence[str]) -> bool:
    """Whether a remark after a label takes nothing back: it names no label, denies nothing, and asks nothing."""
    words = words_of(remark).words
    doubts = any(word.text in BARRED | RETRACTIONS or word.before == "?" for word in words)
    return not doubts and "?" not in remark and not vocabulary(tuple(labels)).mentions(words)
