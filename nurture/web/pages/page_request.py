"""The context of a request to a public page (person, language, brand), and the pages that need no person."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from fastapi import Response

from nurture.consent.from_pages import PageContact
from nurture.domain.instant import Instant
from nurture.playbook import LoadedPlaybook
from nurture.web.brand import Brand, brand_of
from nurture.web.html import PUBLIC_HEADERS, render_page
from nurture.web.pages.words import words_for


@dataclass(frozen=True, slots=True)
class PageContext:
    """One request to a public page: its token, the person, and the words and brand to render with."""

    token: str
    payload: Mapping[str, Any]
    person: PageContact
    loaded: LoadedPlaybook | None
    brand: Brand
    words: Mapping[str, str]
    now: Instant

    @classmethod
    def create(
        cls,
        token: str,
        payload: Mapping[str, Any],
        person: PageContact,
        loaded: LoadedPlaybook | None,
        *,
        language: str,
        now: Instant,
    ) -> Self:
        """Return the context in the person's language, else in the browser's."""
        words = words_for(person.locale, language)
        return cls(
            token, payload, person, loaded, brand_of(loaded, person.locale or words["lang"]), words, now
        )

    def with_person(self, person: PageContact) -> "PageContext":
        """Return the context with a changed person, in that person's language."""
        words = words_for(person.locale, self.words["lang"])
        brand = brand_of(self.loaded, person.locale or words["lang"])
        return replace(self, person=person, words=words, brand=brand)

    @property
    def message(self) -> int | None:
        """The id of the mail that contains the link; None when the token names none."""
        number = self.payload.get("m")
        return number if isinstance(number, int) else None

    @property
    def topic(self) -> str | None:
        """The topic of the link; None when the token names none."""
        topic = self.payload.get("t")
        return topic if isinstance(topic, str) and topic else None

    def evidence(self, page: str) -> dict[str, Any]:
        """Return the evidence stored with a consent: the page, the language, and the mail with the link."""
        mail = {"message": self.message} if self.message is not None else {}
        return {**mail, "page": page, "language": self.words["lang"]}

    def text(self, key: str, **values: str) -> str:
        """Return a text of the page with its values filled in."""
        text = self.words[key]
        for name, value in {"address": mask_address(self.person.email, self.words), **values}.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def render(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """Return the page of a template below templates/public."""
        return render_page(
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
        """Return a page with a title, a sentence and at most one link."""
        return self.render("notice", status=status, title=title, lead=lead, note=note, link=link)


def mask_address(email: str | None, words: Mapping[str, str]) -> str:
    """Return the masked address (`a•••@example.com`), because mails are forwarded and pages shown to others."""
    if not email:
        return words["your_address"]
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def invalid_link_page(language: str) -> Response:
    """Return the page for every token that was not signed for this page."""
    return notice_page("invalid", language, status=404)


def notice_page(subject: str, language: str, *, brand: Brand | None = None, status: int = 200) -> Response:
    """Return a notice that needs no person.

    subject: `invalid`, `expired`, `gone` (the person was erased), `over` (an ended referral), `unread` (the form) or
    `away` (the database).
    """
    words = words_for(None, language)
    # Mail programs repeat a one-click unsubscribe that was answered with 503.
    headers = PUBLIC_HEADERS if status != 503 else {**PUBLIC_HEADERS, "Retry-After": "30"}
    return render_page(
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
