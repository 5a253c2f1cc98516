"""Words of customers that thank a member of staff by name."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

_SENTENCE: Final = re.compile(r"[^.!?\n。！？]+[.!?。！？]*")
_THANKS: Final = re.compile(
    r"\b(?:thank\w*|thx|grateful|appreciat\w*|helpful|helped|patient\w*|friendly|(?:so|very|most|how) kind|lovely"
    r"|wonderful|brilliant|excellent|great|amazing|fantastic|a star)\b"
    r"|谢|感激|耐心|热情|周到|贴心|专业|帮了|很棒|太好了|点赞",
    re.IGNORECASE,
)
_AGAINST: Final = re.compile(
    r"\b(?:not|no|never|nobody|hardly|without|no thanks|thanks for nothing|un(?:helpful|friendly|kind))\b|n['’]t\b"
    r"|\b(?:rude|useless|angry|disappoint\w*|instead of|would|could|please|if|still|but|wait\w*)\b"
    r"|不|没|差劲|失望|敷衍",
    re.IGNORECASE,
)
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
#: The characters of a quoted sentence.
_QUOTE_MAX: Final = 200


class Thanks(NamedTuple):
    """A sentence in which a customer thanks somebody of the house."""

    owner: str
    quote: str


def find_thanks(text: str, owners: Mapping[str, str]) -> list[Thanks]:
    """Return the sentences that thank an owner by the full name or the first one, each owner once.

    owners: key -> name. A sentence with a word against it (not, never, rude) thanks nobody: praise
    from a complaint is worse than thanks that are missed. A first name that two owners share names neither.
    """
    patterns = _patterns(owners)
    thanked: dict[str, str] = {}
    for sentence in _SENTENCE.findall(text):
        if _THANKS.search(sentence) and not _AGAINST.search(sentence):
            for key, pattern in patterns.items():
                if pattern.search(sentence):
                    thanked.setdefault(key, _cut(sentence))
    return [Thanks(key, quote) for key, quote in thanked.items()]


def _patterns(owners: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    names = {key: name.split() for key, name in owners.items() if name.strip()}
    first = [words[0] for words in names.values()]
    patterns = {}
    for key, words in names.items():
        wanted = [" ".join(words)]
        if len(words) > 1 and first.count(words[0]) == 1:
            wanted.append(words[0])
        patterns[key] = re.compile("|".join(map(_name_pattern, wanted)))
    return patterns


def _name_pattern(name: str) -> str:
    """Return the pattern of a whole name; Chinese has no spaces between words."""
    return (
        re.escape(name)
        if _HAN.search(name)
        else rf"(?<![^\W\u4e00-\u9fff]){re.escape(name)}(?![^\W\u4e00-\u9fff])"
    )


def _cut(sentence: str) -> str:
    words = " ".join(sentence.split())
    return words if len(words) <= _QUOTE_MAX else words[: _QUOTE_MAX - 1].rstrip() + "…"


def all_thanks(
    rows: Iterable[tuple[int, str]], owners: Mapping[str, str], *, limit: int
) -> list[tuple[int, Thanks]]:
    """Return (contact, thanks) of texts by contact, the newest first as they come, at most so many."""
    found = [(contact, thanks) for contact, text in rows for thanks in find_thanks(text, owners)]
    return found[:limit]
