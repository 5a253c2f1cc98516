"""One request to a public page: who stands before it, in which words, and the pages that need nobody."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from fastapi import Response

from nurture.consent.from_pages import PageContact
from nurture.domain.instant import Instant
from nurture.playbook import LoadedPlaybook
from nurture.web.brand import Brand, brand_of
from nurture.web.html import PUBLIC_HEADERS, page
from nurture.web.pages.words import words_for


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a public page, with everything the page is made from."""

    token: str
    payload: Mapping[str, Any]
    person: PageContact
    loaded: LoadedPlaybook | None
    brand: Brand
    words: Mapping[str, str]
    now: Instant

    @classmethod
    def of(
        cls,
        token: str,
        payload: Mapping[str, Any],
        person: PageContact,
        loaded: LoadedPlaybook | None,
        *,
        language: str,
        now: Instant,
    ) -> Self:
        """Return the visit in the person's language, else in the one the browser asks for."""
        words = words_for(person.locale, language)
        return cls(
            token, payload, person, loaded, brand_of(loaded, person.locale or words["lang"]), words, now
        )

    def as_person(self, person: PageContact) -> "Visit":
        """Return the same visit of a person who has just changed something, in their language now."""
        words = words_for(person.locale, self.words["lang"])
        brand = brand_of(self.loaded, person.locale or words["lang"])
        return replace(self, person=person, words=words, brand=brand)

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

    def evidence(self, page: str) -> dict[str, Any]:
        """Return what is kept of an act: on which page, in which language, by which mail's link."""
        mail = {"message": self.message} if self.message is not None else {}
        return {**mail, "page": page, "language": self.words["lang"]}

    def say(self, key: str, **values: str) -> str:
        """Return a sentence of the page with its values put in."""
        text = self.words[key]
        for name, value in {"address": mask(self.person.email, self.words), **values}.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """Return a public page."""
        return page(
            f"public/{name}.html",
            status=status,
            headers=PUBLIC_HEADERS,
            words=self.words,
            brand=self.brand,
            **values,
        )

    def notice(
        self,
        title: str,
        lead: str,
        *,
        note: str = "",
        link: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        """Return a page that only says something."""
        return self.page("notice", status=status, title=title, lead=lead, note=note, link=link)


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
    """Return a page that needs no person.

    subject: `invalid`, `expired`, `gone` (erased: what they ask for is so already), `over` (of a friend's link),
    `unread` or `away`.
    """
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
