"""Which label a reply states. The same words around any label are read alike.

A reply states a label if all of these hold:
- It names no other label. If one label contains another, the longest counts. A label that is an everyday word (`no`,
  `a`) counts only if it is a statement of its own.
- Its first or its last sentence, or one that begins a line with `Answer:` or the like, says the label and nothing
  else. Polite sentences don't count. The label may follow a lead: one that ends in a colon (at most 12 words) or a
  clause such as `The sentiment of this review is` or `Option`. It may be followed by a noun such as `sentiment`, by
  `is correct`, by a remark in brackets or after a dash, by an option's text (`B) Paris`), or by a reason after a comma
  (`No, it does not.`).
- The clause that names the label does not deny or doubt it or offer a choice (`not`, `hardly`, `or`, …), and the
  sentence is no question. No later words take the label back; a reason may deny anything else (`retractions`).
- The reply has at most 60 other words, so an essay is not read as an answer.
In JSON exactly one value must be a label; the JSON is then read as that value.

The file is long, because these rules are applied together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from batchfree.answers.fences import fenced_spans, unfenced
from batchfree.answers.label_words import (
    BARRED,
    CALLS,
    CLAUSE_STARTS,
    CONCLUSIONS,
    JOINTS,
    NEGATIONS,
    NOT_A_REASON,
    NOUNS,
    STATES,
    WEAK,
    confirms,
    is_pleasantry,
    leads_up,
)
from batchfree.answers.retractions import (
    ANYWHERE,
    POLAR,
    STARTS,
    disowns,
    sentence_takes_back,
    sentences_of,
    takes_back,
)
from batchfree.answers.rule import bad_answer
from batchfree.answers.strict_json import NotJson, brackets, parse_strictly
from batchfree.answers.vocabulary import DENIALS, Mention, Vocabulary, Word, vocabulary, words_of
from batchfree.core.chat import Failure, Json

MAX_SURROUNDING_WORDS = 60
MAX_LEAD_WORDS = 12
MAX_SHOWN = 80
SHORT = 100
"""Most characters of a reply of which the label is kept."""
FIRST_OF_LIST = re.compile(r"\A\s*1[.)]\s+")

DENYING_KEYS = re.compile(r"\b(?:not|no|non|options?|choices?|rejected|excluded|labels|alternatives?|other)\b")


def read_label(text: str, labels: Sequence[str]) -> str | Failure:
    """The label that the text states, or why it states none."""
    known = vocabulary(tuple(labels))
    label = known.exact(text) or known.exact(FIRST_OF_LIST.sub("", text))
    if label:
        return label
    return _label_in_short(text, known) if len(text) <= SHORT else _label_within(text, known)


def _label_within(text: str, known: Vocabulary) -> str | Failure:
    return _label_in_block(text, known) or _label_in_text(text, known)


_label_in_short = lru_cache(maxsize=1024)(_label_within)
"""Cached, because many short replies are the same, such as `Positive.` and `The answer is **positive**.`"""


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
    blocks = fenced_spans(text)
    if len(blocks) == 1:
        inner, around = read_label(text[blocks[0]], known.labels), unfenced(text)
        before = text[: blocks[0].start]
    else:
        spans = brackets(text).spans if "{" in text or "[" in text else ()
        stripped = text.strip()
        if stripped[:1] == '"':
            spans, text = (slice(0, len(stripped)),), stripped
        if len(spans) != 1:
            return None
        try:
            value = parse_strictly(text[spans[0]])
        except NotJson:
            return None
        if isinstance(value, str) and value == text:
            return None
        before = text[: spans[0].start]
        inner, around = label_of(value, known.labels), before + "\n" + text[spans[0].stop :]
        if isinstance(inner, Failure) and isinstance(value, list) and around.strip():
            return None
    if isinstance(inner, Failure):
        return inner
    others = {mention.label for mention in _Reply(around, known).mentions} - {inner}
    if others:
        return bad_answer(_names_several([inner, *sorted(others)]))
    if takes_back(around) or disowns(before):
        return bad_answer(f"the text around {inner!r} takes it back; answer with the label alone")
    return inner


def _label_in_text(text: str, known: Vocabulary) -> str | Failure:
    """The label that the sentences of a text state."""
    reply = _Reply(text, known)
    named = sorted({mention.label for mention in reply.mentions})
    if len(named) != 1:
        return bad_answer(_names_several(named) if named else _names_none(known))
    label, first = named[0], reply.mentions[0]
    if label not in known.labels:
        return bad_answer("several labels differ only in case or punctuation; write the label exactly as it is listed")
    if len(reply.words) - (first.end - first.start) > MAX_SURROUNDING_WORDS:
        return bad_answer(f"it mentions {label!r} in a long text; answer with the label alone")
    if "~~" in text or any(map(reply.is_denied, reply.mentions)):
        return bad_answer(f"it names {label!r} but does not clearly state it; answer with the label alone")
    if any(map(reply.is_stated, reply.mentions)):
        return label
    return bad_answer(f"it mentions {label!r} but does not state it as the answer; answer with the label alone")


def _has_meaning(word: Word, known: Vocabulary) -> bool:
    """Whether a word carries meaning. An emoji is decoration unless it is a label or a denial."""
    if any(map(str.isalnum, word.text)) or any(mark in word.text for mark in DENIALS):
        return True
    return bool(known.mentions([word]))


class _Reply:
    """The words of a reply without its polite sentences, and the labels that they name."""

    def __init__(self, text: str, known: Vocabulary) -> None:
        whole = words_of(text)
        kept = list[Word]()
        for sentence in sentences_of([word for word in whole.words if _has_meaning(word, known)]):
            if known.mentions(sentence) or not is_pleasantry(_text_of(sentence)):
                kept += sentence
        self.words = tuple(kept)
        self._after = whole.after if kept and whole.words and kept[-1] is whole.words[-1] else "."
        self._polar = not POLAR.isdisjoint(known.folded)
        mentions = known.mentions(self.words)
        self.mentions = [mention for mention in mentions if self._counts(mention)]
        self._named = {place for each in mentions for place in range(each.start, each.end)}

    def _counts(self, mention: Mention) -> bool:
        """Whether a mention counts. An everyday word within a sentence does not."""
        text = self.words[mention.start].text
        if mention.end > mention.start + 1 or (text not in WEAK):
            return True
        after = self.words[mention.end] if mention.end < len(self.words) else None
        if after is None or after.before or after.text in JOINTS:
            return True
        return confirms(_text_of(self.words[mention.end : self._sentence(mention)[1]]))

    def _sentence(self, mention: Mention) -> tuple[int, int]:
        """The sentence around a mention, as the numbers of its first word and of the word after its last."""
        start, end = mention.start, mention.end
        while start > 0 and self.words[start].before not in (".", "?"):
            start -= 1
        while end < len(self.words) and self.words[end].before not in (".", "?"):
            end += 1
        return start, end

    def is_denied(self, mention: Mention) -> bool:
        """Whether the sentence of a mention asks a question, or its clause denies or doubts the label."""
        start, end = self._sentence(mention)
        ending = self.words[end].before if end < len(self.words) else self._after
        clause = self._clause_start(start, mention)
        behind = mention.end
        while behind < end and not self.words[behind].before:
            behind += 1
        return ending == "?" or any(map(self._bars, [*range(clause, mention.start), *range(mention.end, behind)]))

    def _clause_start(self, start: int, mention: Mention) -> int:
        """The first word of the clause of a mention. Only a conclusion is separated from the clauses before it."""
        for place in range(mention.start, start, -1):
            if self.words[place].before in (",", "-") and self.words[place].text in CONCLUSIONS:
                return place
        return start

    def _bars(self, place: int) -> bool:
        text = self.words[place].text
        if place in self._named:
            return False
        return text in BARRED or text.endswith("n't") or any(mark in text for mark in DENIALS)

    def is_stated(self, mention: Mention) -> bool:
        """Whether the sentence of a mention only states the label, and no later words take it back."""
        start, end = self._sentence(mention)
        lead = self.words[start : mention.start]
        explicit = bool(lead) and lead[0].starts_line and STATES.search(_text_of(lead)) is not None
        return (
            (start == 0 or end == len(self.words) or explicit)
            and self._is_lead(lead, self.words[mention.start])
            and self._is_trail(mention.end, end, mention)
            and not any(map(self._takes_back, sentences_of(self.words[end:])))
        )

    def _takes_back(self, words: Sequence[Word]) -> bool:
        return sentence_takes_back(words, polar=self._polar)

    def _is_lead(self, lead: Sequence[Word], label: Word) -> bool:
        """Whether the words before a label, with the break after them, only announce the label."""
        if not lead:
            return True
        if len(lead) > MAX_LEAD_WORDS and label.before in (":", "-"):
            return False
        if label.before in (":", "-") or (label.before == ")" and len(lead) == 1 and len(lead[0].text) <= 2):
            return True
        if label.before == ",":
            return all(word.text in CALLS for word in lead)
        clause = next((place for place in range(len(lead) - 1, -1, -1) if lead[place].before in (",", ":", "-")), 0)
        return label.before in ("", "(") and len(lead) - clause <= MAX_LEAD_WORDS and leads_up(_text_of(lead[clause:]))

    def _is_trail(self, place: int, end: int, mention: Mention) -> bool:
        """Whether the words after a label in its sentence don't take it back."""
        while place < end and self.words[place].text in NOUNS and not self.words[place].before:
            place += 1
        if place == end:
            return True
        again = next((each for each in self.mentions if each.start == place), None)
        if again is not None:
            return self._is_trail(again.end, end, again)
        rest = self.words[place:end]
        texts = [word.text for word in rest]
        before = rest[0].before
        if before == "":
            return confirms(" ".join(texts))
        if self._takes_back(rest):
            return False
        if before == ",":
            return texts[0] in CLAUSE_STARTS or texts[0] in NEGATIONS
        if before == ":":
            is_option = len(self.words[mention.start].text) <= 2 and mention.end == mention.start + 1
            if texts[0][:1].isdigit():
                return is_option and len(texts) > 1
            return (is_option or len(texts) > 2) and texts[0] not in NOT_A_REASON
        rated = any(text[:1].isdigit() for text in texts) and not any(text.startswith("confiden") for text in texts)
        return before == ")" or (before in ("(", "-") and not rated)


def _text_of(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _names_several(labels: Sequence[str]) -> str:
    names = ", ".join(repr(label.replace("\0", "")) for label in labels[:4])
    return f"it names more than one label ({names}); answer with exactly one"


def _names_none(known: Vocabulary) -> str:
    shown = ", ".join(known.labels)
    listed = f": {shown}" if len(shown) <= MAX_SHOWN else ""
    return f"it is none of the labels{listed}"


def is_harmless_remark(remark: str, labels: Sequence[str]) -> bool:
    """Whether a remark after a label leaves the label valid: it names no label, denies nothing and asks nothing."""
    words = words_of(remark).words
    doubts = any(word.text in BARRED | STARTS | ANYWHERE or word.before == "?" for word in words)
    return not doubts and "?" not in remark and not vocabulary(tuple(labels)).mentions(words)
