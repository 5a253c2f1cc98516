"""One request to a public page: who stands before it, in which words, and the pages that need nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from nurture.domain.instant import Instant
from nurture.flow.acts import Person
from nurture.web.brand import Brand
from nurture.web.pages import PUBLIC_HEADERS, page
from nurture.web.words import words_for


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a public page, with everything the page is made from."""

    token: str
    payload: Mapping[str, Any]
    person: Person
    brand: Brand
    words: Mapping[str, str]
    now: Instant

    @property
    def message(self) -> int | None:
        """The mail that the link came from."""
        number = self.payload.get("m")
        return number if isinstance(number, int) else None

    @property
    def topic(self) -> str | None:
        """The topic that the link is about."""
        topic = self.payload.get("t")
        return topic if isinstance(topic, str) and topic else None

    @property
    def evidence(self) -> dict[str, Any]:
        """What is kept of the act: which mail's link it was."""
        return {"message": self.message} if self.message is not None else {}

    def say(self, key: str, **values: str) -> str:
        """Return a sentence of the page with its values put in."""
        text = self.words[key]
        for name, value in {"address": mask(self.person.email, self.words), **values}.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def page(self, name: str, **values: Any) -> Response:
        """Return a public page."""
        return page(
            f"public/{name}.html", headers=PUBLIC_HEADERS, words=self.words, brand=self.brand, **values
        )

    def notice(
        self, title: str, lead: str, *, note: str = "", link: Mapping[str, str] | None = None
    ) -> Response:
        """Return a page that only says something."""
        return self.page("notice", title=title, lead=lead, note=note, link=link)


def mask(email: str | None, words: Mapping[str, str]) -> str:
    """Return enough of an address to recognise it: mails are forwarded, and pages are shown to others."""
    if not email:
        return words["your_address"]
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def nowhere(language: str) -> Response:
    """Return the one page for every token that was not signed for this page."""
    return plain("invalid", language, status=404)


def plain(subject: str, language: str, *, brand: Brand | None = None, status: int = 200) -> Response:
    """Return a page that needs no person: `invalid`, `gone` (erased: what they ask for is so already) or `away`."""
    words = words_for(None, language)
    # A mail program repeats a one-click request that was answered with 503.
    headers = PUBLIC_HEADERS if status != 503 else {**PUBLIC_HEADERS, "Retry-After": "30"}
    return page(
        "public/notice.html",
        status=status,
        headers=headers,
        words=words,
        brand=brand or Brand(),
        title=words[f"{subject}_title"],
        lead=words[f"{subject}_lead"],
        note="",
        link=None,
    )
