"""Checks of `_layout/`: the strings have the same keys in every locale and a name for each topic; images are valid."""

import re
from collections.abc import Mapping

from nurture.domain.playbook import Playbook
from nurture.playbook.document import Document, read_document
from nurture.playbook.fault import Faults
from nurture.playbook.folder import LAYOUT, PROGRAMME
from nurture.rendering.images import FOLDER, read_image

_SHOWN = re.compile(r"\bimage_([a-z][a-z0-9_]*)")


def check_images(layout: Mapping[str, str], files: Mapping[str, str], faults: Faults) -> None:
    """Check that every file under `_layout/images/` is an image; warn of one that nothing shows."""
    shown = {
        name for path, text in files.items() if not path.startswith(FOLDER) for name in _SHOWN.findall(text)
    }
    for name in sorted(layout):
        path = f"{LAYOUT}/{name}"
        if path.startswith(FOLDER):
            try:
                read_image(path, layout[name])
            except ValueError as error:
                what, _, change = str(error).partition("; ")
                faults.add(path, 1, what, change)
            else:
                stem = name.rpartition("/")[2].partition(".")[0]
                if stem not in shown:
                    change = f"write {{{{ links.image_{stem} }}}} in a mail, or remove the file"
                    faults.add_warning(path, 1, "nothing shows this picture", change)


def check_strings(playbook: Playbook, layout: Mapping[str, str], faults: Faults) -> None:
    """Check `_layout/strings.<locale>.yaml` of every locale."""
    if faults.has_broken(PROGRAMME, "locales"):
        return
    read: dict[str, Document] = {}
    for locale in playbook.locales:
        name = f"strings.{locale}.yaml"
        if name not in layout:
            faults.add(
                f"{LAYOUT}/{name}",
                1,
                f"no strings for {locale}",
                "add the file; see docs/playbook.md, Layout",
            )
            continue
        document = read_document(f"{LAYOUT}/{name}", layout[name], faults)
        if document is not None:
            read[locale] = document
            _check_flat(document, faults)
            _check_topics(document, playbook, faults)
    _check_same(read, faults)
    for name in sorted(layout):
        if name.endswith((".yml", ".yaml")) and name not in {
            f"strings.{locale}.yaml" for locale in playbook.locales
        }:
            faults.add(f"{LAYOUT}/{name}", 1, "nothing reads this file", "name it strings.<locale>.yaml")


def _check_flat(document: Document, faults: Faults) -> None:
    for key, value in document.data.items():
        if not isinstance(value, str):
            faults.at(
                document, (key,), f"`{key}` is not text", "write one text per key, in quotes where needed"
            )


def _check_topics(document: Document, playbook: Playbook, faults: Faults) -> None:
    for topic in playbook.topics:
        if f"topic_{topic}" not in document.data:
            change = f"add `topic_{topic}:`; the preference centre shows it"
            faults.at(document, (), f"no words for the topic `{topic}`", change)


def _check_same(read: Mapping[str, Document], faults: Faults) -> None:
    everything = {key: locale for locale in reversed(list(read)) for key in read[locale].data}
    for locale, document in read.items():
        for key in sorted(set(everything) - set(document.data)):
            if not key.startswith("topic_"):
                other = read[everything[key]]
                what = f"`{key}` has no words in {locale}"
                faults.at(other, (key,), what, f"add it to {document.path}")
