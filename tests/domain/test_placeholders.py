"""Words that stand for a missing value name nobody."""

import pytest

from nurture.domain.event import Identity
from nurture.domain.facts import empty, fold
from nurture.domain.identity import canonical_user_id
from nurture.domain.instant import MINUTE
from nurture.domain.placeholders import is_placeholder_address, is_placeholder_name, without_placeholders
from tests.domain.build import NOON, a_playbook, an_event


@pytest.mark.parametrize(
    "text",
    [
        "not_authenticated",
        "id",
        "email",
        "{{user.id}}",
        "{{ user.id }}",
        "user_id",
        "userId",
        "[object Object]",
        "NULL",
        "undefined",
        "${userId}",
        "%USER_ID%",
        "*|UNIQID|*",
        "<user_id>",
        "{id}",
        "logged_out",
        "'null'",
        "(not set)",
        "None",
        "unregistered",
        "%%USERID%%",
        "游客",
    ],
)
def test_such_an_id_names_nobody(text: str) -> None:
    assert canonical_user_id(text) is None


@pytest.mark.parametrize("text", ["7", "ann", "id-7", "user_1", "testa", "null-7", "a{b"])
def test_other_ids_do(text: str) -> None:
    assert canonical_user_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "NULL",
        "null",
        "undefined",
        "N/A",
        "{{first_name}}",
        "Test",
        "test",
        "*|FNAME|*",
        "-",
        "%FIRSTNAME%",
        "%%First Name%%",
        "微信用户",
        "123",
        "First Name",
    ],
)
def test_such_a_name_is_unknown(text: str) -> None:
    assert is_placeholder_name(text)


@pytest.mark.parametrize("text", ["Ann", "Na", "李", "Testa", "O", "Guestrow", "Nulla", "D'Arcy", "Björk"])
def test_real_names_are_known(text: str) -> None:
    assert not is_placeholder_name(text)


@pytest.mark.parametrize(
    "address", ["test@example.com", "null@null.com", "noemail@shop.example", "email@email.com"]
)
def test_such_an_address_joins_nobody(address: str) -> None:
    assert is_placeholder_address(address)
    user, mail = Identity("user_id", "7"), Identity("email", address)
    assert without_placeholders([user, mail]) == (user,)
    assert without_placeholders([mail]) == (mail,), "alone it stays, and joins nothing"
    assert not is_placeholder_address("ann@example.com")


def test_a_placeholder_name_takes_back_a_name_and_greets_nobody() -> None:
    playbook = a_playbook()
    contact = empty(1, first_seen_at=NOON, playbook=playbook)
    fold(contact, an_event("Identified", NOON, traits={"firstName": "Ann"}), playbook)
    assert contact.facts["first_name"] == "Ann"
    fold(
        contact,
        an_event("Identified", NOON + MINUTE, traits={"firstName": "{{ user.first_name }}"}),
        playbook,
    )
    assert "first_name" not in contact.facts
