"""The brand on the public pages: names, colour and topic titles, from the active playbook."""

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
    """A topic's title and description in one language."""

    name: str
    title: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Brand:
    """The sender as the pages show it; empty without a playbook."""

    name: str = ""
    legal_name: str = ""
    address: str = ""
    color: str = ""
    topics: tuple[TopicTitle, ...] = ()
    # The programme's strings in this language.
    strings: Mapping[str, str] = field(default_factory=dict)

    def title_of(self, topic: str) -> str:
        """Return a topic's title; its name where the playbook has none."""
        return next((title.title for title in self.topics if title.name == topic), _title_from_name(topic))

    def about(self, topic: str) -> str:
        """Return a topic's description; empty where the playbook has none."""
        return next((title.about for title in self.topics if title.name == topic), "")


def active_playbook(services: Services, connection: sa.Connection) -> LoadedPlaybook | None:
    """Return the active playbook; None before the first one is published."""
    try:
        return services.playbooks.active(connection)
    except UserError:
        return None


def brand_of(loaded: LoadedPlaybook | None, locale: str | None) -> Brand:
    """Return the brand in a locale's language (None: the playbook's default)."""
    if loaded is None:
        return Brand()
    playbook = loaded.playbook
    strings = _strings(loaded, locale, playbook.default_locale)
    brand: Mapping[str, Any] = playbook.brand
    color = str(brand.get("color", ""))
    return Brand(
        name=str(brand.get("name", playbook.name)),
        legal_name=str(brand.get("legal_name", "")),
        address=str(brand.get("address", "")),
        color=color if _COLOR.fullmatch(color) else "",
        topics=tuple(
            TopicTitle(
                name,
                strings.get(f"topic_{name}", _title_from_name(name)),
                strings.get(f"topic_{name}_about", ""),
            )
            for name in playbook.topics
        ),
        strings=strings,
    )


def _title_from_name(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _strings(loaded: LoadedPlaybook, locale: str | None, default: str) -> Mapping[str, str]:
    """Return the strings of the locale, else of its language in another country, else of the default locale."""
    named = {path: text for path, text in loaded.files.items() if path.startswith("_layout/strings.")}
    language = (locale or default).split("-")[0].lower()
    wanted = [f"_layout/strings.{locale}.yaml"]
    wanted += sorted(path for path in named if path.split(".")[1].split("-")[0].lower() == language)
    wanted.append(f"_layout/strings.{default}.yaml")
    return next((_parse(named[path]) for path in wanted if path in named), {})


@lru_cache(maxsize=32)
def _parse(text: str) -> Mapping[str, str]:
    try:
        brand = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return {}
    return {str(name): str(value) for name, value in brand.items()} if isinstance(brand, dict) else {}
