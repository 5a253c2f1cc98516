"""The pages on which somebody says yes or no to a topic: unsubscribe and confirm."""

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.consent import from_pages
from nurture.domain.consent.preferences import LESS_OFTEN_GAP
from nurture.domain.consent.wording import Wording
from nurture.domain.signing import sign_token
from nurture.web.pages.confirmed_requests import StepPages
from nurture.web.pages.page_request import Visit, nowhere
from nurture.web.pages.public_dispatch import Form, Gate, marked


class ConsentPages:
    """Unsubscribe and confirm."""

    def __init__(self, gate: Gate, steps: StepPages) -> None:
        """Keep the way in, and what does the requests that are confirmed."""
        self._gate = gate
        self._steps = steps
        self._key = gate.services.settings.suppression_secret

    # ---- unsubscribe -------------------------------------------------------------------------------------

    def show_unsubscribe(self, _connection: sa.Connection, visit: Visit, _request: Request) -> Response:
        """Show what would stop, and less beside none."""
        topic = visit.brand.title_of(visit.topic) if visit.topic else ""
        return visit.page(
            "unsubscribe",
            question=visit.say("unsubscribe_question", topic=topic or visit.words["everything"]),
            topic=topic,
            less=visit.person.preferences.min_gap < LESS_OFTEN_GAP,
            action=f"/u/{visit.token}",
            preferences=preferences_path(self._gate, visit),
        )

    def unsubscribe(self, connection: sa.Connection, visit: Visit, form: Form) -> Response:
        """Stop the topic, everything, or only so many."""
        link = {"href": preferences_path(self._gate, visit), "text": visit.words["changed_mind"]}
        note = visit.words["transactional_note"]
        evidence = visit.evidence("unsubscribe")
        if form.get("scope") == ["less"]:
            from_pages.change_preferences(
                connection, visit.person, {"often": LESS_OFTEN_GAP}, now=visit.now, evidence=evidence
            )
            return visit.notice(visit.words["less_title"], visit.say("less_lead"), note=note, link=link)
        # Mail programs post `List-Unsubscribe=One-Click`: the list is the topic of the mail.
        topic = None if form.get("scope") == ["all"] else visit.topic
        if "scope" not in form:
            evidence["page"] = "one-click"
        from_pages.withdraw_topic(
            connection, visit.person, topic, now=visit.now, evidence=evidence, suppression_key=self._key
        )
        if topic:
            lead = visit.say("unsubscribed_topic", topic=visit.brand.title_of(topic))
        else:
            lead = visit.say("unsubscribed_all")
        return visit.notice(visit.words["unsubscribed_title"], lead, note=note, link=link)

    # ---- confirm -----------------------------------------------------------------------------------------

    def show_confirm(self, connection: sa.Connection, visit: Visit, _request: Request) -> Response:
        """Show what would be agreed to, or what a request will do."""
        if "r" in visit.payload:
            return self._steps.show_confirm(connection, visit)
        topic = visit.topic or from_pages.find_requested_topic(connection, visit.message)
        if topic is None:
            return marked("invalid", nowhere(visit.words["lang"]))
        return visit.page(
            "confirm",
            question=visit.say("confirm_question", topic=visit.brand.title_of(topic)),
            about=visit.brand.about(topic),
            lead=visit.words["confirm_lead"],
            button=visit.words["confirm_button"],
            wording=confirm_wording(visit, topic).version,
            grave=False,
            action=f"/confirm/{visit.token}",
        )

    def confirm(self, connection: sa.Connection, visit: Visit, form: Form) -> Response:
        """Note that they agreed, with the words they saw, or do what they asked for."""
        if "r" in visit.payload:
            return self._steps.confirm(connection, visit)
        topic = visit.topic or from_pages.find_requested_topic(connection, visit.message)
        if topic is None:
            return marked("invalid", nowhere(visit.words["lang"]))
        claimed = (form.get("wording") or [""])[0]
        from_pages.confirm_topic(
            connection,
            visit.person,
            topic,
            now=visit.now,
            evidence=visit.evidence("confirm"),
            suppression_key=self._key,
            wording=from_pages.store_shown_wording(
                connection, confirm_wording(visit, topic), claimed, now=visit.now
            ),
        )
        lead = visit.say("confirmed_lead", topic=visit.brand.title_of(topic))
        link = {"href": preferences_path(self._gate, visit), "text": visit.words["choose_instead"]}
        return visit.notice(visit.words["confirmed_title"], lead, link=link)


def confirm_wording(visit: Visit, topic: str) -> Wording:
    """Return the words of the confirmation page about this topic; the address is left out."""
    words = visit.words
    question = words["confirm_question"].replace("{topic}", visit.brand.title_of(topic))
    said = (question, visit.brand.about(topic), words["confirm_lead"], words["confirm_button"])
    return Wording("confirm", words["lang"], said)


def preferences_path(gate: Gate, visit: Visit) -> str:
    """Return the path of the person's preference centre."""
    payload = {"c": visit.person.id}
    if visit.message is not None:
        payload["m"] = visit.message
    return "/p/" + sign_token(gate.services.keys, "preferences", payload)
