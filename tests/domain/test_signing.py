"""Tokens: only the holder of a secret can sign one, and it is valid for one purpose only."""

import json
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.signing import TOKEN_LENGTH_MAX, SigningKeys, sign_token, verify_token

OLD, NEW = b"old secret, 16 bytes and more", b"new secret, 16 bytes and more"
KEYS = SigningKeys((NEW,))
PAYLOAD = {"c": 7, "m": 11, "t": "offers"}

json_values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)


@given(st.dictionaries(st.text(min_size=1, max_size=4), json_values, max_size=5))
def test_a_token_gives_back_its_payload(payload: dict[str, object]) -> None:
    assert verify_token(KEYS, "unsubscribe", sign_token(KEYS, "unsubscribe", payload)) == payload


@given(st.dictionaries(st.text(min_size=1, max_size=4), json_values, max_size=5))
def test_a_payload_is_the_compact_json_of_the_standard_library(payload: dict[str, object]) -> None:
    raw = urlsafe_b64decode(sign_token(KEYS, "click", payload) + "==")
    assert raw[17:].decode() == json.dumps(payload, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def test_a_token_is_short_and_fits_into_a_path() -> None:
    token = sign_token(KEYS, "unsubscribe", PAYLOAD)
    assert len(token) < 70
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_the_order_of_names_does_not_matter() -> None:
    assert sign_token(KEYS, "click", {"a": 1, "b": 2}) == sign_token(KEYS, "click", {"b": 2, "a": 1})


def test_a_token_of_one_purpose_is_invalid_for_another() -> None:
    assert verify_token(KEYS, "click", sign_token(KEYS, "unsubscribe", PAYLOAD)) is None


def test_an_old_secret_still_verifies_after_a_new_one_signs() -> None:
    token = sign_token(SigningKeys((OLD,)), "unsubscribe", PAYLOAD)
    assert verify_token(SigningKeys((NEW, OLD)), "unsubscribe", token) == PAYLOAD
    assert verify_token(SigningKeys((NEW,)), "unsubscribe", token) is None
    assert sign_token(SigningKeys((NEW, OLD)), "unsubscribe", PAYLOAD) == sign_token(
        SigningKeys((NEW,)), "unsubscribe", PAYLOAD
    )


@given(st.integers(0, 200), st.integers(1, 63))
def test_any_changed_character_is_refused(place: int, shift: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = sign_token(KEYS, "unsubscribe", PAYLOAD)
    place %= len(token)
    other = alphabet[(alphabet.index(token[place]) + shift) % 64]
    assert verify_token(KEYS, "unsubscribe", token[:place] + other + token[place + 1 :]) is None


@given(st.text(max_size=100))
def test_random_text_is_refused_without_an_exception(noise: str) -> None:
    assert verify_token(KEYS, "unsubscribe", noise) is None


@pytest.mark.parametrize("spelling", ["{}=", "{}\n", " {}", "!{}"])
def test_only_the_canonical_spelling_counts(spelling: str) -> None:
    token = sign_token(KEYS, "unsubscribe", PAYLOAD)
    assert verify_token(KEYS, "unsubscribe", spelling.format(token)) is None


def test_an_overlong_token_is_refused_unread() -> None:
    token = sign_token(KEYS, "unsubscribe", {"x": "y" * TOKEN_LENGTH_MAX})
    assert verify_token(KEYS, "unsubscribe", token) is None


@pytest.mark.parametrize("secrets", [(), (b"",), (b"short",), (NEW, b"short")])
def test_a_secret_that_could_be_guessed_is_refused(secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="secret"):
        SigningKeys(secrets)


def test_keys_do_not_show_their_secrets() -> None:
    assert "secret" not in repr(KEYS).replace("secrets", "")
