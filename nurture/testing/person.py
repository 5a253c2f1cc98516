"""One person of a test: what they are like, what they do, and the mails that they got."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nurture.app.contacts import why
from nurture.app.sends.hand_in import SendOrder, send
from nurture.app.sends.options import SendOptions
from nurture.app.sends.recipients import find_recipients
from nurture.consent import from_pages, from_requests
from nurture.consent.record import grant_consent
from nurture.contacts.queries import load_contacts, resolve_contact
from nurture.domain.consent.requests import RequestAct
from nurture.domain.contact import Contact
from nurture.domain.errors import InputError
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.testing import queries
from nurture.testing.mails import Mail
from nurture.testing.personas import find_evidence

if TYPE_CHECKING:
    from nurture.testing.programme import TestProgramme


class Person:
    """A person under test. Made by `TestProgramme.person`; every act happens at the test's present instant."""

    def __init__(
        self,
        programme: "TestProgramme",
        email: str,
        *,
        user_id: str | None = None,
        locale: str | None = None,
        zone: str | None = None,
        traits: Mapping[str, Any] | None = None,
        persona: str | None = None,
        consent: Sequence[str] = (),
        history: Sequence[tuple[str, Instant, Mapping[str, Any]]] = (),
    ) -> None:
        """Tell the programme of the person.

        persona: its strongest evidence is put into the past. consent: topics agreed to before; this starts no measure.
        history: (event, when it occurred, properties) of events from before, which make facts and start nothing.
        Raises InputError for an address, persona or topic that is none.
        """
        address = canonical_email(email)
        if address is None:
            raise InputError(f"{email!r} is not an e-mail address")
        self.programme = programme
        self.email = address
        self.zone = zone or programme.loaded.playbook.default_zone
        ids = (Identity("email", address),)
        self._identities = ids if user_id is None else (Identity("user_id", user_id), *ids)
        self._context = {"timezone": self.zone, **({"locale": locale} if locale else {})}
        known = programme.loaded.playbook.topics
        for topic in consent:
            if topic not in known:
                raise InputError(f"no topic {topic!r} in the programme; it has {', '.join(sorted(known))}")
        past = list(history)
        if persona is not None:
            event, evidence = find_evidence(programme.loaded.playbook, persona)
            past.append((event, programme.now - DAY, evidence))
        for name, at, properties in sorted(past, key=lambda entry: entry[1]):
            self._tell(name, at=at, historic=True, properties=dict(properties))
        self._tell("Identified", traits=dict(traits or {}))
        programme.work()
        for topic in consent:
            self._grant(topic)

    # ---- acts --------------------------------------------------------------------------------------------

    def does(self, event: str, /, *, occurred: Instant | None = None, **properties: Any) -> "Person":
        """Hand in an event of the person. occurred: when, if it arrives late."""
        self._tell(event, at=occurred, properties=properties)
        self.programme.work()
        return self

    def tells(self, **traits: Any) -> "Person":
        """Let the person give traits, such as a birthday."""
        self._tell("Identified", traits=traits)
        self.programme.work()
        return self

    def confirms(self, topic: str) -> "Person":
        """Let the person confirm a topic by the link in our mail."""
        self._on_page(
            lambda connection, contact: from_pages.confirm_topic(connection, contact, topic, self._page_act())
        )
        return self

    def unsubscribes(self, topic: str = "*") -> "Person":
        """Let the person leave a topic, or everything, by the link in a mail."""
        left = None if topic == "*" else topic
        self._on_page(
            lambda connection, contact: from_pages.withdraw_topic(connection, contact, left, self._page_act())
        )
        return self

    def asks_for(self, act: RequestAct, *, address: str | None = None) -> "Person":
        """Let the person ask on the preference page for another address, their data or erasure."""
        new = canonical_email(address) if address is not None else None
        now = self.programme.now
        self._on_page(
            lambda connection, contact: from_requests.create_request(
                connection, contact, act, address=new, now=now
            )
        )
        return self

    def confirms_request(self) -> "Person":
        """Let the person follow the link that confirms the new address. Raises InputError without such a request."""
        self._on_page(self._change_address)
        return self

    def is_sent(self, measure: str, *, occasion: str = "") -> "Person":
        """Let ops send a measure to the person. Raises InputError as `nurture send` does."""
        services, now = self.programme.services, self.programme.now
        recipients = find_recipients(services, [self.email], file=None, column=None)
        order = SendOrder(
            measure,
            recipients,
            request=f"test-{now}-{measure}-{self.email}",
            actor="test",
            options=SendOptions(occasion),
        )
        send(services, order)
        self.programme.work()
        return self

    def _tell(self, name: str, *, at: Instant | None = None, **fields: Any) -> None:
        self.programme.hand_in(name, identities=self._identities, at=at, context=self._context, **fields)

    def _grant(self, topic: str) -> None:
        now = self.programme.now
        self.programme.services.database.run(
            lambda connection: grant_consent(
                connection,
                contact_id=resolve_contact(connection, self.email),
                topic=topic,
                now=now,
                source="test",
                evidence={},
            )
        )

    def _page_act(self) -> from_pages.PageAct:
        key = self.programme.services.settings.suppression_secret
        return from_pages.PageAct(self.programme.now, {}, key)

    def _on_page(self, act: Any) -> None:
        """Do an act of a public page in one transaction, then apply it."""

        def work(connection: Any) -> None:
            contact = from_pages.find_page_contact(connection, resolve_contact(connection, self.email))
            if contact is None:
                raise InputError(
                    f"{self.email}: nothing is known of this person at {to_iso(self.programme.now)}"
                )
            act(connection, contact)

        self.programme.services.database.run(work)
        self.programme.work()

    def _change_address(self, connection: Any, contact: from_pages.PageContact) -> None:
        number = queries.load_newest_request(connection, contact.id)
        request = from_requests.find_request(connection, contact, number)
        now = self.programme.now
        if request is None or request.act != "address" or not from_requests.is_open(request, now=now):
            raise InputError(f"{self.email} has no open request for another address")
        from_requests.change_address(connection, contact, request, now=now)

    # ---- what became of them -------------------------------------------------------------------------------

    @property
    def mailbox(self) -> list[Mail]:
        """The mails that the person got, in their order."""
        return self.programme.mails(self.email)

    @property
    def contact(self) -> Contact:
        """The state of the person: track, stage, facts, runs."""
        with self.programme.services.database.read() as connection:
            contact_id = resolve_contact(connection, self.email)
            return load_contacts(connection, [contact_id], self.programme.loaded.playbook)[contact_id]

    def why(self, measure: str) -> str:
        """Return in words why the person did or did not get a measure, as `nurture contact why` does."""
        return str(why(self.programme.services, self.email, measure)["answer"])
