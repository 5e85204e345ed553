"""Finding values in a text: numbers, dates, addresses, names, sentences, and `key: value` pairs."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date

from batchfree.emulator.mind.lexicon import STOPWORDS, words

_MONTHS = "january february march april may june july august september october november december"
MONTHS = _MONTHS.split()
MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in MONTHS)
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w)")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URL = re.compile(r"https?://[^\s<>\"')\]]+|www\.[^\s<>\"')\]]+")
PHONE = re.compile(r"\+?\d[\d ()/-]{6,}\d")
ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.? (?:of )?({MONTH})\.?,? (\d{{4}})\b", re.I)
MONTH_DAY = re.compile(rf"\b({MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})\b", re.I)
DOTTED = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4})\b")
MONEY = re.compile(
    r"(?:[$€£]\s?(\d[\d,]*(?:\.\d+)?))|(?:(\d[\d,]*(?:\.\d+)?)\s?(?:[$€£]|USD|EUR|GBP|dollars?|euros?|pounds?))", re.I
)
NAME = re.compile(r"\b[A-ZÄÖÜ][a-zäöüßéè'’-]+(?:\s+(?:[A-ZÄÖÜ]\.|van|von|de|da|[A-ZÄÖÜ][a-zäöüßéè'’-]+))*")
PLACE = re.compile(r"\b(in|near|at|to|from) ([A-ZÄÖÜ][\wäöüß'-]+(?: [A-ZÄÖÜ][\wäöüß'-]+)*)")
SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\w)[^.!?\n]*)*[.!?]*")
_NOT_NAMES = (
    "The A An I It This That These Those He She We They You My Your His Her Our Their What Which Who How When Where "
    "Why If In On At For From And But Or Please Extract Answer Return Read Give Tell List Text Invoice Order Dear "
    "Hello Hi Re Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July "
    "August September October November December Yes No Not Is Are Was Were Do Does Did Can Could Will Would As By To "
    "Of With"
)
NOT_NAMES = frozenset(_NOT_NAMES.split())
CURRENCIES = (
    ("€", "EUR"),
    ("EUR", "EUR"),
    ("euro", "EUR"),
    ("£", "GBP"),
    ("GBP", "GBP"),
    ("$", "USD"),
    ("USD", "USD"),
    ("dollar", "USD"),
)


def numbers(text: str) -> list[float]:
    """Every plain number, in order; dates are left out."""
    for pattern in (ISO_DATE, DAY_MONTH, MONTH_DAY, DOTTED):
        text = pattern.sub(" ", text)
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def money(text: str) -> list[float]:
    return [float((first or second).replace(",", "")) for first, second in MONEY.findall(text)]


def currency(text: str) -> str | None:
    return next((code for sign, code in CURRENCIES if sign in text), None)


def dates(text: str) -> list[str]:
    """Every date as YYYY-MM-DD, in order of kind; impossible ones are left out."""
    found = [(int(y), int(m), int(d)) for y, m, d in ISO_DATE.findall(text)]
    found += [(int(y), _month(m), int(d)) for d, m, y in DAY_MONTH.findall(text)]
    found += [(int(y), _month(m), int(d)) for m, d, y in MONTH_DAY.findall(text)]
    found += [(int(y), int(m), int(d)) for d, m, y in DOTTED.findall(text)]
    real = []
    for year, month, day in found:
        try:
            real.append(date(year, month, day).isoformat())
        except ValueError:
            continue
    return real


def _month(word: str) -> int:
    return 1 + [month[:3] for month in MONTHS].index(word[:3].lower())


def names(text: str) -> list[str]:
    """Capitalised names, longest first among equals; words that only begin a sentence are left out."""
    found = []
    for match in NAME.finditer(text):
        parts = match.group().split()
        while parts and parts[0] in NOT_NAMES:
            parts.pop(0)
        if parts and parts[0][0].isupper():
            found.append(" ".join(parts).removesuffix("'s").removesuffix("’s"))
    return list(dict.fromkeys(found))


def people(text: str) -> list[str]:
    """Names of two words or more before single ones."""
    return sorted(names(text), key=lambda name: " " not in name)


def places(text: str) -> list[str]:
    """Names behind `in` before those behind `to` or `from`, which may be people."""
    found = [
        (word in ("to", "from"), place) for word, place in PLACE.findall(text) if place.split()[0] not in NOT_NAMES
    ]
    return list(dict.fromkeys(place for _, place in sorted(found, key=lambda pair: pair[0])))


def sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in SENTENCE.findall(text) if sentence.strip(" -*#")]


def keywords(text: str, count: int = 5) -> list[str]:
    """The most frequent words of four letters and more, stop words left out."""
    counted = Counter(word for word in words(text) if len(word) > 3 and word not in STOPWORDS and not word.isdigit())
    return [word for word, _ in counted.most_common(count)]


def pair(text: str, key: str) -> str | None:
    """What stands behind `key:` (or `key =`, `key #`) on its line; the key's underscores may be blanks."""
    spelled = r"[ _-]?".join(map(re.escape, re.split(r"[_\s-]+", key)))
    match = re.search(rf"(?im)\b{spelled}\s*(?:no\.?|number|nr\.?)?\s*[:=#]\s*([^\n;|]+)", text)
    return match.group(1).strip(" .,\"'") if match else None


def summary(text: str) -> str:
    """The first sentence, shortened."""
    first = (sentences(text) or [text.strip()])[0]
    return first if len(first) <= 160 else first[:157].rsplit(" ", 1)[0] + " …"
