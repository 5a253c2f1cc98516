"""The unsubscribe page and the page that confirms a topic."""

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.consent import from_pages
from nurture.domain.consent.preferences import LESS_OFTEN_GAP
from nurture.domain.consent.wording import Wording
from nurture.domain.signing import sign_token
from nurture.web.pages.confirmed_requests import RequestPages
from nurture.web.pages.page_request import PageContext, invalid_link_page
from nurture.web.pages.public_dispatch import Form, PublicDispatcher, with_outcome


class ConsentPages:
    """The unsubscribe and the confirmation page."""

    def __init__(self, dispatcher: PublicDispatcher, request_pages: RequestPages) -> None:
        """Use this dispatcher's services; confirmed requests are carried out by `request_pages`."""
        self._dispatcher = dispatcher
        self._request_pages = request_pages
        self._key = dispatcher.services.settings.suppression_secret

    # ---- unsubscribe -------------------------------------------------------------------------------------

    def show_unsubscribe(
        self, _connection: sa.Connection, context: PageContext, _request: Request
    ) -> Response:
        """Show what would be unsubscribed, and offer fewer mails instead."""
        topic = context.brand.title_of(context.topic) if context.topic else ""
        return context.render(
            "unsubscribe",
            question=context.text("unsubscribe_question", topic=topic or context.words["everything"]),
            topic=topic,
            less=context.person.preferences.min_gap < LESS_OFTEN_GAP,
            action=f"/u/{context.token}",
            preferences=preferences_path(self._dispatcher, context),
        )

    def unsubscribe(self, connection: sa.Connection, context: PageContext, form: Form) -> Response:
        """Unsubscribe from the topic or from everything, or set a lower frequency."""
        link = {"href": preferences_path(self._dispatcher, context), "text": context.words["changed_mind"]}
        note = context.words["transactional_note"]
        evidence = context.evidence("unsubscribe")
        if form.get("scope") == ["less"]:
            from_pages.change_preferences(
                connection, context.person, {"often": LESS_OFTEN_GAP}, now=context.now, evidence=evidence
            )
            return context.notice(
                context.words["less_title"], context.text("less_lead"), note=note, link=link
            )
        # Mail programs post `List-Unsubscribe=One-Click` (RFC 8058) without a scope: the list is the mail's topic.
        topic = None if form.get("scope") == ["all"] else context.topic
        if "scope" not in form:
            evidence["page"] = "one-click"
        act = from_pages.PageAct(context.now, evidence, self._key)
        from_pages.withdraw_topic(connection, context.person, topic, act)
        if topic:
            lead = context.text("unsubscribed_topic", topic=context.brand.title_of(topic))
        else:
            lead = context.text("unsubscribed_all")
        return context.notice(context.words["unsubscribed_title"], lead, note=note, link=link)

    # ---- confirm -----------------------------------------------------------------------------------------

    def show_confirm(self, connection: sa.Connection, context: PageContext, _request: Request) -> Response:
        """Show the topic to confirm, or the request to confirm."""
        if "r" in context.payload:
            return self._request_pages.show_confirm(connection, context)
        topic = context.topic or from_pages.find_requested_topic(connection, context.message)
        if topic is None:
            return with_outcome("invalid", invalid_link_page(context.words["lang"]))
        obstacle = from_pages.find_obstacle(connection, context.person, topic, context.message, self._key)
        if obstacle is not None:
            return self._obstacle_page(context, topic, obstacle)
        return context.render(
            "confirm",
            question=context.text("confirm_question", topic=context.brand.title_of(topic)),
            about=context.brand.about(topic),
            lead=context.words["confirm_lead"],
            button=context.words["confirm_button"],
            wording=confirm_wording(context, topic).version,
            grave=False,
            action=f"/confirm/{context.token}",
        )

    def confirm(self, connection: sa.Connection, context: PageContext, form: Form) -> Response:
        """Record the consent with the wording that was shown, or carry out the confirmed request; 410 when refused."""
        if "r" in context.payload:
            return self._request_pages.confirm(connection, context)
        topic = context.topic or from_pages.find_requested_topic(connection, context.message)
        if topic is None:
            return with_outcome("invalid", invalid_link_page(context.words["lang"]))
        claimed = (form.get("wording") or [""])[0]
        wording = from_pages.store_shown_wording(
            connection, confirm_wording(context, topic), claimed, now=context.now
        )
        act = from_pages.PageAct(context.now, context.evidence("confirm"), self._key, wording)
        obstacle = from_pages.confirm_request(connection, context.person, topic, act)
        if obstacle is not None:
            return self._obstacle_page(context, topic, obstacle)
        lead = context.text("confirmed_lead", topic=context.brand.title_of(topic))
        link = {"href": preferences_path(self._dispatcher, context), "text": context.words["choose_instead"]}
        return context.notice(context.words["confirmed_title"], lead, link=link)

    def _obstacle_page(self, context: PageContext, topic: str, obstacle: from_pages.Obstacle) -> Response:
        """Return the page for a link that grants nothing: why, and what the person can do."""
        title = context.words[f"{obstacle}_title"]
        lead = context.text(f"{obstacle}_lead", topic=context.brand.title_of(topic))
        link = {"href": preferences_path(self._dispatcher, context), "text": context.words["spent_link"]}
        page = context.notice(title, lead, link=link if obstacle == "spent" else None, status=410)
        return with_outcome(obstacle, page)


def confirm_wording(context: PageContext, topic: str) -> Wording:
    """Return the confirmation page's wording about this topic, without the person's address."""
    words = context.words
    question = words["confirm_question"].replace("{topic}", context.brand.title_of(topic))
    texts = (question, context.brand.about(topic), words["confirm_lead"], words["confirm_button"])
    return Wording("confirm", words["lang"], texts)


def preferences_path(dispatcher: PublicDispatcher, context: PageContext) -> str:
    """Return the path of the person's preference centre."""
    payload = {"c": context.person.id}
    if context.message is not None:
        payload["m"] = context.message
    return "/p/" + sign_token(dispatcher.services.keys, "preferences", payload)
