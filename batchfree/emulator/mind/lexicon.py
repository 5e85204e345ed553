"""The few words that the emulated models know: moods, topics, kinds of question.

Each group: the words that a label of its kind may hold, and cues that speak for it in a text. Stems, not words.
"""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:['’][a-z]+)?")
_NEGATIONS = "not no never n't nothing hardly without cannot dont doesnt isnt wasnt didnt wont"
NEGATIONS = frozenset(_NEGATIONS.split())
ENDINGS = (
    "ations",
    "ation",
    "ingly",
    "ments",
    "ment",
    "ness",
    "ings",
    "ing",
    "ies",
    "ied",
    "edly",
    "ed",
    "es",
    "ly",
    "s",
)
_STOPWORDS = (
    "the a an and or but if of to in on at by for with from as is are was were be been it its this that these those i "
    "you he she we they my your his her our their me him them what which who how when where why do does did have has "
    "had not no so can could will would should may might there here than then just only very about into over after "
    "before out up down all any some more most other such also answer text following please row one"
)
STOPWORDS = frozenset(_STOPWORDS.split())

POSITIVE = (
    "good great excellent love loved lovely wonderful amazing awesome best brilliant perfect beautiful enjoyable "
    "enjoy fun funny delightful charming fantastic superb impressive recommend happy glad pleased pleasant thanks "
    "thank fast friendly helpful comfortable warm moving smart fresh engaging compelling powerful touching "
    "masterpiece fine nice solid worth winning entertaining gem rich witty clever elegant satisfying satisfied "
    "delicious reliable sturdy easy works gorgeous heartfelt hilarious refreshing remarkable sweet thrilling triumph "
    "vivid"
)
NEGATIVE = (
    "bad terrible awful horrible worst hate hated boring dull poor poorly disappointing disappointed disappoint waste "
    "wasted broken broke slow rude annoying mess failed fails fail failure problem problems angry sad useless cheap "
    "dirty late cold wrong lacks lacking lack predictable flat tedious ugly weak stupid silly bland lifeless unfunny "
    "pointless mediocre missing damaged refund return complaint unhappy never stopped stale lame shallow clumsy "
    "contrived tired empty crash crashes worse pretentious incoherent uninspired leaks noisy unfortunately too"
)

# name of the group: (words of labels, cues in texts)
GROUPS: dict[str, tuple[str, str]] = {
    "world": (
        "world international politics government",
        "president minister government war iraq election police troops un israel palestinian killed military "
        "attack peace country leader rebels bomb prime nuclear china afghanistan",
    ),
    "sports": (
        "sport sports football",
        "game team season win won coach cup league match player players goal olympic championship tournament "
        "baseball football basketball soccer tennis quarterback inning medal victory score race",
    ),
    "business": (
        "business finance economy",
        "company shares stock market profit sales oil prices bank quarter billion million earnings investors "
        "deal economy growth ceo dollar price merger revenue trade inc corp",
    ),
    "science": (
        "science sci tech technology computer",
        "software computer internet microsoft google space nasa scientists technology web phone apple online "
        "researchers study mars security wireless linux chip server video network",
    ),
    "banking": (
        "banking bank account transfer",
        "account balance transfer bank deposit check checking savings pin routing interest bill pay payment "
        "freeze fraud transaction spend",
    ),
    "cards": (
        "credit card cards",
        "card credit limit apr visa mastercard reward rewards declined lost stolen expire score points",
    ),
    "kitchen": (
        "kitchen dining food cook restaurant",
        "recipe cook restaurant food calories meal dinner eat ingredients bake oven nutrition reservation "
        "dish table chicken rice cake soup ate",
    ),
    "home": (
        "home house order smart",
        "list shopping todo to-do lights music song play order calendar reminder remind playlist update add",
    ),
    "auto": (
        "auto car commute traffic",
        "car gas traffic tire oil drive mpg mechanic uber directions distance fuel jump engine highway road pressure",
    ),
    "travel": (
        "travel trip flight hotel",
        "flight hotel trip travel book plane visa luggage vacation airport passport plug vaccines carry "
        "timezone translate tourist car rental",
    ),
    "utility": (
        "utility tool tools",
        "weather time alarm timer date definition spell spelling calculator convert measure text phone call "
        "share location flip coin roll dice random",
    ),
    "work": (
        "work job office",
        "meeting pto vacation direct boss payday taxes w2 insurance schedule 401k income salary rollover "
        "application leave request work",
    ),
    "talk": (
        "small talk chat greeting",
        "hello hi joke name age old hobbies bye thanks goodbye fun fact tell who made robot real pets where from",
    ),
    "meta": (
        "meta setting",
        "accent language whisper speed repeat reset sync device cancel volume settings mode change user name "
        "yes no maybe",
    ),
    "spam": (
        "spam",
        "win winner prize free click offer cash urgent congratulations claim lottery viagra",
    ),
    "urgent": (
        "urgent high critical emergency",
        "urgent immediately asap emergency now critical down outage fire danger leaking",
    ),
    "shipping": (
        "shipping delivery arrival",
        "deliver delivery arrive arrived shipping package parcel late track courier post mail",
    ),
    "billing": (
        "billing payment invoice charge",
        "bill billed invoice charge charged payment paid fee refund price money",
    ),
    "technical": (
        "technical bug support error",
        "error crash bug login password install app website broken work screen update",
    ),
    "quality": (
        "quality product",
        "broken quality cheap material scratched torn size color fits sturdy damaged",
    ),
    "question": (
        "question inquiry",
        "what how when where why who can could which ?",
    ),
    "abbreviation": (
        "abbreviation abbr acronym",
        "abbreviation acronym stand stands abbreviated initials",
    ),
    "description": (
        "description desc definition explanation reason",
        "why define mean meaning origin describe difference cause does",
    ),
    "entity": (
        "entity enty thing object",
        "what name which fear word animal color language food instrument film movie currency",
    ),
    "human": (
        "human hum person people individual",
        "who whom whose president inventor actor author invented wrote king queen",
    ),
    "location": (
        "location loc place city country",
        "where city country state capital river mountain ocean located island continent",
    ),
    "number": (
        "number num numeric quantity count date amount",
        "many much long far old tall year date population percent temperature distance cost average when",
    ),
    "english": (
        "english",
        "the and of is that with for this",
    ),
    "german": (
        "german deutsch",
        "der die das und ist nicht ein eine mit ich zu auf",
    ),
    "french": (
        "french français",
        "le la les et est une des pas que dans pour je",
    ),
    "spanish": (
        "spanish español",
        "el los las y es una que por para con no del",
    ),
}


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A crude stem: lower case, without common English endings."""
    word = word.lower()
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems_of(text: str) -> frozenset[str]:
    """The stems of words listed with blanks between them."""
    return frozenset(map(stem, text.split()))


@lru_cache(maxsize=4_096)
def words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, `don't` kept whole."""
    return tuple(word.lower() for word in WORD.findall(text))


@lru_cache(maxsize=4_096)
def label_stems(label: str) -> tuple[str, ...]:
    """The stems of a label: `cardArrival_late` is card, arrival, late."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).replace("_", " ").replace("-", " ")
    return tuple(stem(word) for word in words(parted) if word not in ("of", "the", "and", "or", "a"))


POSITIVE_STEMS = stems_of(POSITIVE)
NEGATIVE_STEMS = stems_of(NEGATIVE)
GROUP_STEMS = {name: (stems_of(of_labels), stems_of(cues)) for name, (of_labels, cues) in GROUPS.items()}


@lru_cache(maxsize=4_096)
def mood(text: str) -> tuple[int, int]:
    """How many words speak well, and how many badly, of something; `not` turns the next three words round."""
    good = bad = 0
    turned = 0
    for word in words(text):
        if word in NEGATIONS or word.endswith(("n't", "n’t")):
            turned = 3
            continue
        root = stem(word)
        kind = (root in POSITIVE_STEMS) - (root in NEGATIVE_STEMS)
        kind = -kind if turned else kind
        good, bad, turned = good + (kind > 0), bad + (kind < 0), max(0, turned - 1)
    return good, bad
