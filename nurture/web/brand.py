"""The brand as the public pages show it: names, colour and the titles of the topics, from the active playbook."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nurture.app.services import Services
from nurture.domain.errors import UserError
from nurture.playbook import LoadedPlaybook

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")


@dataclass(frozen=True, slots=True)
class TopicTitle:
    """A topic in the words of one language."""

    name: str
    title: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Brand:
    """What the pages say about who writes the mails; empty without a playbook."""

    name: str = ""
    legal_name: str = ""
    address: str = ""
    color: str = ""
    topics: tuple[TopicTitle, ...] = ()
    # All of the programme's own words in this language.
    strings: Mapping[str, str] = field(default_factory=dict)

    def title_of(self, topic: str) -> str:
        """Return a topic's title; its name where the playbook has none."""
        return next((known.title for known in self.topics if known.name == topic), _spoken(topic))

    def about(self, topic: str) -> str:
        """Return the sentence about a topic; empty where the playbook has none."""
        return next((known.about for known in self.topics if known.name == topic), "")


def active_playbook(services: Services, connection: sa.Connection) -> LoadedPlaybook | None:
    """Return the active playbook, None before the first was published."""
    try:
        return services.playbooks.active(connection)
    except UserError:
        return None


def brand_of(loaded: LoadedPlaybook | None, locale: str | None) -> Brand:
    """Return the brand in the words of a locale (or of the playbook's default)."""
    if loaded is None:
        return Brand()
    playbook = loaded.playbook
    strings = _strings(loaded, locale, playbook.default_locale)
    said: Mapping[str, Any] = playbook.brand
    color = str(said.get("color", ""))
    return Brand(
        name=str(said.get("name", playbook.name)),
        legal_name=str(said.get("legal_name", "")),
        address=str(said.get("address", "")),
        color=color if _COLOR.fullmatch(color) else "",
        topics=tuple(
            TopicTitle(
                name, strings.get(f"topic_{name}", _spoken(name)), strings.get(f"topic_{name}_about", "")
            )
            for name in playbook.topics
        ),
        strings=strings,
    )


def _spoken(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _strings(loaded: LoadedPlaybook, locale: str | None, default: str) -> Mapping[str, str]:
    """Return the strings of the locale, of its language in another country, or of the default."""
    named = {path: text for path, text in loaded.files.items() if path.startswith("_layout/strings.")}
    language = (locale or default).split("-")[0].lower()
    wanted = [f"_layout/strings.{locale}.yaml"]
    wanted += sorted(path for path in named if path.split(".")[1].split("-")[0].lower() == language)
    wanted.append(f"_layout/strings.{default}.yaml")
    return next((_parse(named[path]) for path in wanted if path in named), {})


@lru_cache(maxsize=32)
def _parse(text: str) -> Mapping[str, str]:
    try:
        said = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return {}
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}
