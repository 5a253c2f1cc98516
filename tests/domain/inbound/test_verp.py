"""The signed return path: valid in every spelling that mail servers make of it, and never when forged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.inbound.verp import build_return_path, can_be_tagged, read_return_path
from nurture.domain.signing import SigningKeys

KEYS = SigningKeys((b"a secret of the tests, long enough",))
NEWER = SigningKeys((b"a newer secret, also long enough", *KEYS.secrets))
NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)


@given(NUMBERS)
def test_a_return_path_leads_back_to_its_message(number: int) -> None:
    address = build_return_path(KEYS, "bounces@mail.shop.example", number)
    local, _, domain = address.rpartition("@")
    assert domain == "mail.shop.example"
    assert len(local) < 64
    assert local == local.lower()
    assert read_return_path(KEYS, address) == number
    # As mail servers and people write it, and after a new secret.
    assert read_return_path(KEYS, f"<{address.upper()}>") == number
    assert read_return_path(NEWER, address) == number
    assert read_return_path(SigningKeys(NEWER.secrets[:1]), address) is None


@given(NUMBERS, st.data())
def test_a_changed_tag_leads_nowhere(number: int, data: st.DataObject) -> None:
    address = build_return_path(KEYS, "bounces@shop.example", number)
    place = data.draw(st.integers(min_value=len("bounces+"), max_value=address.index("@") - 1))
    other = data.draw(
        st.sampled_from("abcdefghijklmnopqrstuvwxyz234567").filter(lambda c: c != address[place])
    )
    assert read_return_path(KEYS, address[:place] + other + address[place + 1 :]) is None


@given(st.text(max_size=90))
def test_any_text_is_read(text: str) -> None:
    assert read_return_path(KEYS, text) is None
    assert read_return_path(KEYS, f"bounces+{text}@shop.example") is None


@pytest.mark.parametrize(
    ("address", "fits"),
    [("bounces@shop.example", True), ("b" * 32 + "@x.example", True), ("b" * 33 + "@x.example", False)],
)
def test_an_address_must_leave_room(address: str, fits: bool) -> None:
    assert can_be_tagged(KEYS, address) is fits
