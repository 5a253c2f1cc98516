"""Secrets change while mails with links are out and others are on their way."""

import re
from dataclasses import replace
from email import message_from_bytes, policy

from nurture.database.engine import Database
from nurture.delivery.deliver import deliver
from nurture.domain.instant import HOUR
from nurture.domain.signing import SigningKeys, sign_token, verify_token
from nurture.journey.drain import drain
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from tests.delivery.world import Post, outcome
from tests.scenarios.world import World
from tests.web.live import NOW, a_contact, a_service, asking, stored_consents

PURPOSES = ("preferences", "unsubscribe", "click", "survey", "open")
OLD, NEW = "the old secret of the tests, long enough", "the new secret of the tests, long enough"


def test_a_link_signed_before_works_until_its_secret_is_taken_away(
    sqlite_database: Database,
) -> None:
    contact = a_contact(sqlite_database)
    links = {
        name: "/u/"
        + sign_token(SigningKeys((secret.encode(),)), "unsubscribe", {"c": contact, "m": 7, "t": topic})
        for name, secret, topic in (("old", OLD, "news"), ("new", NEW, "offers"))
    }

    def answers(*secrets: str) -> dict[str, int]:
        service = a_service(sqlite_database, clock=ManualClock(NOW), secret_key=secrets)
        keys = SigningKeys(service.settings.signing_secrets)
        with asking(replace(service, keys=keys)) as client:
            return {name: client.get(link).status_code for name, link in links.items()}

    before, during, after = answers(OLD), answers(NEW, OLD), answers(NEW)
    assert (before["old"], during["old"], during["new"], after["new"]) == (200, 200, 200, 200)
    assert before["new"] == after["old"]
    assert after["old"] >= 400
    # One click on a link of before, while both are known.
    service = a_service(sqlite_database, clock=ManualClock(NOW), secret_key=(NEW, OLD))
    with asking(replace(service, keys=SigningKeys(service.settings.signing_secrets))) as client:
        done = client.post(links["old"], data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    assert stored_consents(sqlite_database) == [(contact, "news", "withdrawn")]


def test_a_mail_made_before_a_restart_leaves_after_it_with_a_link_that_works(
    sqlite_database: Database,
) -> None:
    """Refused for now under the old secret, sent again, the same bytes, by a process that has both."""
    world = World(sqlite_database)
    given = {"order_id": "o1", "revenue": 19.9, "total": 19.9, "currency": "EUR", "products": []}
    world.hand_in(replace(world.event("ada@example.com", "Order Completed"), properties=given))
    while drain(world.database, shard=None, clock=world.clock, playbooks=world.services.playbooks).total():
        pass
    old = replace(world.delivery, keys=SigningKeys((OLD.encode(),)), worker="before")
    refused = Post(behave=lambda mail: outcome(mail, "retry", code="450"))
    assert deliver(world.database, old, lane="main", transport=refused)["retry"] == 1
    world.clock.advance_to(world.now + HOUR)
    ring = SigningKeys((NEW.encode(), OLD.encode()))
    post = Post()
    assert (
        deliver(world.database, replace(world.delivery, keys=ring), lane="main", transport=post)["sent"] == 1
    )
    assert post.taken[0].data == refused.taken[0].data
    mail = message_from_bytes(post.taken[0].data, policy=policy.default)
    words = "".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")
    tokens = re.findall(r"https://mail.shop.example/[upcso]/([A-Za-z0-9_.-]+)", words)
    assert tokens
    for token in tokens:
        read = {
            secret: any(verify_token(SigningKeys((secret.encode(),)), purpose, token) for purpose in PURPOSES)
            for secret in (OLD, NEW)
        }
        # Mail frozen before the restart stays as it was signed, and the new process reads it.
        assert read == {OLD: True, NEW: False}
        assert any(verify_token(ring, purpose, token) for purpose in PURPOSES)


def test_the_first_of_several_secrets_signs() -> None:
    settings = load_settings(
        environment={"NURTURE_SECRET_KEY": "new-secret-of-the-tests old-secret-of-the-tests"}
    )
    assert settings.signing_secrets == (b"new-secret-of-the-tests", b"old-secret-of-the-tests")
    keys = SigningKeys(settings.signing_secrets)
    token = sign_token(keys, "unsubscribe", {"c": 1})
    assert verify_token(SigningKeys((b"new-secret-of-the-tests",)), "unsubscribe", token) == {"c": 1}
