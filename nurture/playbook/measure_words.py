"""Collect the words of each measure: the files of its mails, and the layouts, partials and strings that these use."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from nurture.rendering.template_files import LAYOUT, layout_path

_USES: Final = re.compile(
    r"""\{%[-+]?\s{0,9}(?:extends|include|from|import)\s{1,9}["']([^"']{1,200})["']""", re.IGNORECASE
)
_STRINGS: Final = re.compile(rf"{LAYOUT}/strings\.(?P<locale>[^/]+)\.yaml")
#: One string with its key, up to the next key.
_STRING: Final = re.compile(r"^(?P<key>[A-Za-z_][A-Za-z0-9_]*):.*(?:\n(?![A-Za-z_#]).*)*", re.MULTILINE)
_IMAGE: Final = re.compile(rf"{LAYOUT}/images/(?P<name>[^/.]+)\.")
_WORD: Final = re.compile(r"\w+")

Words = list[tuple[str, str]]


def words_by_measure(files: Mapping[str, str]) -> dict[str, Words]:
    """Return path of a measure -> name and text of everything that its mails are made of, in a fixed order.

    Rules and samples are no words. Of layouts, strings and images only those count that its own mails use.
    """
    own: dict[str, Words] = {}
    for path, text in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        if folder and not folder.startswith(LAYOUT) and name != "measure.yaml" and not name.endswith(".json"):
            own.setdefault(folder, []).append((name, text))
    return {folder: [*words, *_shared(words, files)] for folder, words in own.items()}


def _shared(words: Words, files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    layouts = {path: files[path] for name, text in words for path in _layouts(text, files, _part(name))}
    yield from sorted(layouts.items())
    used = set(_WORD.findall("\n".join([*(text for _, text in words), *layouts.values()])))
    # The first part of a key that is put together: `strings["topic_" ~ topic]`.
    beginnings = tuple(word for word in used if word.endswith("_"))
    locales = {name.split(".")[1] for name, _ in words if name.count(".") > 1}
    for path, text in sorted(files.items()):
        strings = _STRINGS.fullmatch(path)
        if strings is not None and strings["locale"] in locales:
            for string in _STRING.finditer(text):
                if string["key"] in used or string["key"].startswith(beginnings):
                    yield f"{path}:{string['key']}", string[0].rstrip()
        image = _IMAGE.match(path)
        if image is not None and f"image_{image['name']}" in used:
            yield path, text


def _part(name: str) -> str:
    return name.rpartition(".")[2]


def _layouts(text: str, files: Mapping[str, str], part: str) -> Iterator[str]:
    """Yield the paths of the layouts that a text uses, and those that these use."""
    waiting, seen = [text], set[str]()
    while waiting:
        for name in _USES.findall(waiting.pop()):
            path = layout_path(files, name, part=part)
            if path is not None and path not in seen:
                seen.add(path)
                waiting.append(files[path])
                yield path
