"""Reading bodies: what clients send becomes events, what cannot be read is set aside alone."""

import gzip
import json
import zlib
from typing import Any

import pytest

from nurture.app.event_body import BODY_BYTES_MAX, Body, NotJson, TooLarge, inflate, repair, split_body
from nurture.app.ingest import Intake, read_items
from nurture.contacts.accept import NewEvent
from nurture.domain.event import Identity
from nurture.domain.instant import HOUR, MINUTE, SECOND, parse_iso
from tests.web.live import NOW, a_batch, a_track, recorded


def read(body: Any, **given: Any) -> Intake:
    """Read a body given as a value or as bytes, received at NOW."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_items(split_body(raw), **{"source": "shop", "received_at": NOW, **given})


def only(body: Any, **given: Any) -> NewEvent:
    """Return the one event of a body."""
    intake = read(body, **given)
    assert [item.reason for item in intake.rejected] == []
    assert len(intake.events) == 1
    return intake.events[0]


def reasons(body: Any, **given: Any) -> list[str]:
    """Return why items were set aside."""
    return [item.reason for item in read(body, **given).rejected]


# ---- recorded clients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["segment-python-rudder-python", "node-sdks", "segment-python-retry"])
def test_every_recorded_body_is_read_without_a_rejection(name: str) -> None:
    for request in recorded(name):
        body = json.loads(request["b"])
        intake = read(request["b"].encode())
        assert intake.rejected == []
        assert [event.message_id for event in intake.events] == [item["messageId"] for item in body["batch"]]


def test_the_python_clients_calls_become_events() -> None:
    body = recorded("segment-python-rudder-python")[0]["b"].encode()
    received_at = parse_iso("2026-11-22T05:00:06Z")
    identify, order, page, screen, group, alias, viewed = read(body, received_at=received_at).events
    assert identify == NewEvent(
        source="shop",
        message_id="ce16a5f9-60b7-4f8b-8b5e-14e5ba03d9dc",
        kind="identify",
        name="Identified",
        occurred_at=parse_iso("2026-11-22T05:00:04.522Z"),
        received_at=received_at,
        identities=(Identity("user_id", "user-1"), Identity("email", "a@example.com")),
        traits={"email": "a@example.com", "firstName": "A", "created_at": "2026-01-02T00:00:00+00:00"},
        context={"locale": "zh-CN", "timezone": "Asia/Shanghai"},
    )
    assert (order.name, order.properties["products"]) == ("Order Completed", [{"sku": "s1"}])
    assert (page.name, page.properties) == (
        "Page Viewed",
        {"url": "https://x/", "name": "Python", "category": "Docs"},
    )
    assert (screen.name, screen.properties) == ("Screen Viewed", {"name": "Main", "category": "Home"})
    assert (group.name, group.properties, group.traits) == ("Grouped", {"group_id": "acme"}, {"plan": "pro"})
    assert (alias.previous_id, alias.identities) == ("anon-1", (Identity("user_id", "user-1"),))
    assert viewed.identities == (Identity("anonymous_id", "anon-2"),)


def test_rudder_node_sends_original_timestamps_and_traits_inside_the_context() -> None:
    body = recorded("node-sdks")[2]["b"].encode()
    event = only(body, received_at=parse_iso("2026-11-22T05:04:13Z"))
    assert event.occurred_at == parse_iso("2026-11-22T05:04:12.217Z")
    assert Identity("email", "a@example.com") in event.identities


# ---- shapes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [lambda item: item, lambda item: [item], lambda item: {"batch": [item]}],
    ids=["single", "list", "batch"],
)
def test_a_single_call_a_list_and_a_batch_are_the_same(wrap: Any) -> None:
    assert only(wrap(a_track(1))) == only(a_track(1))


def test_a_single_call_takes_its_kind_from_the_endpoint() -> None:
    call = {"userId": "u", "event": "Signed In", "writeKey": "WK"}
    assert only(call, kind="track").name == "Signed In"
    assert reasons(call) == ["type: missing"]


def test_the_write_key_may_travel_in_the_body() -> None:
    assert split_body(b'{"batch": [], "writeKey": "WK"}').write_key == "WK"
    assert split_body(b'{"batch": [], "writeKey": 7}').write_key is None


@pytest.mark.parametrize(
    "body", [b"", b"nope", b'{"batch": [{]}', b'{"batch": [', b"\xff\xfe", b'"', b"{} {}"]
)
def test_a_body_that_is_no_json_is_refused_whole(body: bytes) -> None:
    with pytest.raises(NotJson):
        split_body(body)


def test_json_that_is_no_call_is_set_aside_not_refused() -> None:
    for body in (b"5", b"null", b'"text"', b"{}", b'{"batch": null}', b'{"batch": {}}', b"[5]"):
        assert len(read(body).rejected) == 1
    assert read(b"[]") == read(b'{"batch": []}') == Intake()


# ---- items -----------------------------------------------------------------------------------------------

BAD: dict[str, tuple[Any, str]] = {
    "no object": (5, "item: not an object"),
    "no type": ({"userId": "u"}, "type: missing"),
    "unknown type": (a_track(1, type="purchase"), "type: 'purchase' is none of"),
    "internal type": (a_track(1, type="timer"), "type: 'timer' is none of"),
    "no event name": (a_track(1, event=None), "event: missing"),
    "blank event name": (a_track(1, event="  "), "event: missing"),
    "event name is a list": (a_track(1, event=["A"]), "event: neither text"),
    "long event name": (a_track(1, event="A" * 201), "event: longer than"),
    "properties are text": (a_track(1, properties="a"), "properties: not an object"),
    "traits are a list": (a_track(1, traits=[1]), "traits: not an object"),
    "context is a number": (a_track(1, context=3), "context: not an object"),
    "user id is a list": (a_track(1, userId=["u"]), "userId: neither text"),
    "user id is true": (a_track(1, userId=True), "userId: neither text"),
    "long message id": (a_track(1, messageId="m" * 201), "messageId: longer than"),
    "no date": (a_track(1, timestamp="yesterday"), "timestamp: 'yesterday' is not a date"),
    "date is a list": (a_track(1, timestamp=[2026]), "timestamp: [2026] is not a date"),
    "nobody identified": ({"type": "identify", "traits": {"email": "nope"}}, "identify: no person"),
    "alias of nobody": ({"type": "alias", "userId": "u"}, "previousId: missing"),
    "group of nothing": ({"type": "group", "userId": "u"}, "groupId: missing"),
    "too large": (a_track(1, properties={"text": "x" * 33_000}), "item: larger than 32 KB"),
}


@pytest.mark.parametrize(("item", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_item_is_set_aside_alone_with_its_reason(item: Any, reason: str) -> None:
    intake = read(a_batch([a_track(10), item, a_track(11)]))
    assert [event.message_id for event in intake.events] == ["message-10", "message-11"]
    (rejected,) = intake.rejected
    assert rejected.reason.startswith(reason)
    # Kept whole, a call can be handed in again.
    text = json.dumps(item)
    is_whole = reason != "item: larger than 32 KB"
    assert (rejected.form is not None, rejected.raw == text) == (is_whole, is_whole)
    assert text.startswith(rejected.raw[:2_000])
    assert (rejected.stage, rejected.source, rejected.received_at) == ("shape", "shop", NOW)


def test_a_rejected_item_keeps_its_message_id_where_it_has_one() -> None:
    assert read([a_track(7, event=None)]).rejected[0].message_id == "message-7"
    assert read([a_track(7, event=None, messageId=[1])]).rejected[0].message_id is None


def test_nulls_empty_lists_and_numbers_are_read_as_meant() -> None:
    event = only(a_track(1, userId=4711, anonymousId="", properties=[], traits=None, context=None))
    assert event.identities == (Identity("user_id", "4711"),)
    assert (event.properties, event.traits, event.context) == ({}, {}, {})


def test_a_track_without_a_person_is_taken_it_may_feed_an_object() -> None:
    assert only(a_track(1, userId=None)).identities == ()


def test_placeholders_for_a_missing_id_make_nobody() -> None:
    assert only(a_track(1, userId="undefined", anonymousId="null")).identities == ()


def test_an_address_used_as_user_id_is_an_address_too() -> None:
    event = only(a_track(1, userId="Mara@Example.com"))
    assert event.identities == (
        Identity("user_id", "Mara@Example.com"),
        Identity("email", "mara@example.com"),
    )


def test_a_groups_traits_are_not_the_persons() -> None:
    event = only(
        {"type": "group", "userId": "u", "groupId": "acme", "traits": {"email": "info@acme.example"}}
    )
    assert event.identities == (Identity("user_id", "u"),)
    assert event.traits == {"email": "info@acme.example"}


def test_traits_of_the_call_win_over_those_of_its_context() -> None:
    call = {
        "type": "identify",
        "userId": "u",
        "traits": {"plan": "pro"},
        "context": {"traits": {"plan": "free", "age": 3}},
    }
    assert only(call).traits == {"plan": "pro", "age": 3}


def test_the_senders_own_address_is_not_kept() -> None:
    context = {"ip": "8.8.8.8", "library": {"name": "x"}, "locale": "de-DE", "timezone": None}
    assert only(a_track(1, context=context)).context == {"locale": "de-DE"}


# ---- nearly JSON -----------------------------------------------------------------------------------------


def test_nan_which_pythons_encoder_writes_becomes_null_and_costs_nothing() -> None:
    body = json.dumps([a_track(1, properties={"a": float("nan"), "b": float("inf"), "c": 1}), a_track(2)])
    events = read(body.encode()).events
    assert events[0].properties == {"a": None, "b": None, "c": 1}
    assert len(events) == 2


def test_numbers_out_of_range_cost_only_themselves() -> None:
    body = (
        b'[{"type":"track","userId":"u","event":"A","properties":{"a":1e999,"b":'
        + b"9" * 5_000
        + b',"c":2}}]'
    )
    assert only(body).properties == {"a": None, "b": None, "c": 2}


def test_broken_text_is_repaired_in_its_own_item() -> None:
    body = b'[{"type":"track","userId":"u","event":"A \xff B \\ud800"},{"type":"track","userId":"u","event":"C"}]'
    first, second = read(body).events
    assert (first.name, second.name) == ("A \ufffd B ?", "C")


def test_a_byte_order_mark_is_no_fault() -> None:
    assert only(b"\xef\xbb\xbf" + json.dumps(a_track(1)).encode()).name == "Order Completed"


def test_bottomless_nesting_costs_only_its_own_item() -> None:
    deep = b"[" * 9_000 + b"]" * 9_000
    good = json.dumps(a_track(1)).encode()
    intake = read(
        b'{"batch":['
        + deep
        + b","
        + good
        + b',{"type":"track","event":"D","properties":{"a":'
        + deep
        + b"}}]}"
    )
    assert [event.message_id for event in intake.events][:1] == ["message-1"]
    assert intake.rejected[0].reason.startswith("item: not an object")


def test_repairing_hostile_text_takes_no_time() -> None:
    # Quotes and backslashes that never close a string would make a naive scan quadratic.
    with pytest.raises(NotJson):
        repair(b"[" * 5_000 + b'"\\"' * 300_000)


# ---- time ------------------------------------------------------------------------------------------------


def occurred(timestamp: Any, sent_at: Any = None, **given: Any) -> int:
    """Return occurred_at of a track call received at NOW."""
    return only(a_batch([a_track(1, timestamp=timestamp, **given)], sentAt=sent_at)).occurred_at


def test_a_clients_wrong_clock_is_corrected_by_its_sent_at() -> None:
    slow = occurred("2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z")
    fast = occurred("2026-05-04T13:30:00Z", "2026-05-04T14:00:00Z")
    assert (NOW - slow, NOW - fast) == (HOUR, 30 * MINUTE)


def test_the_way_through_the_net_is_not_taken_for_a_wrong_clock() -> None:
    assert occurred("2026-01-02T00:00:00Z", "2026-05-04T11:59:57Z") == parse_iso("2026-01-02T00:00:00Z")


def test_nothing_happens_later_than_it_was_received() -> None:
    assert occurred("2031-01-01T00:00:00Z") == NOW
    assert occurred(None) == occurred("") == NOW


def test_times_come_as_text_of_any_offset_or_as_numbers() -> None:
    wanted = NOW - HOUR
    for timestamp in (
        "2026-05-04T11:00:00Z",
        "2026-05-04T13:00:00+02:00",
        wanted // SECOND,
        wanted / SECOND,
        wanted // 1000,
    ):
        assert occurred(timestamp) == wanted
    assert occurred("2026-05-04T11:00:00.123456789Z") == wanted + 123456


def test_a_forwarders_corrected_timestamp_is_not_corrected_twice() -> None:
    corrected = occurred(
        "2026-05-04T11:50:00Z", "2026-05-04T10:10:00Z", originalTimestamp="2026-05-04T10:00:00Z"
    )
    assert corrected == NOW - 10 * MINUTE


# ---- message ids -----------------------------------------------------------------------------------------


def ids(*items: Any, **given: Any) -> list[str]:
    """Return the message ids of a batch."""
    return [event.message_id for event in read(a_batch(items), **given).events]


def test_a_missing_message_id_is_made_from_the_content() -> None:
    call = a_track(1, messageId=None)
    assert ids(call) == ids({**call, "sentAt": "2026-05-04T11:30:00Z"}, received_at=NOW + HOUR)
    assert ids(call) != ids({**call, "properties": {"order_id": "o-2"}})
    assert ids(call) != ids({**call, "timestamp": "2026-05-04T11:00:01.000Z"})


def test_equal_items_without_ids_in_one_body_stay_apart() -> None:
    call = a_track(1, messageId=None)
    first, second = ids(call, call)
    assert first != second
    assert ids(call, call) == [first, second]


def test_without_id_and_time_only_nearness_tells_a_repetition() -> None:
    call = a_track(1, messageId=None, timestamp=None)
    assert ids(call) == ids(call, received_at=NOW + MINUTE)
    assert ids(call) != ids(call, received_at=NOW + 2 * HOUR)


def test_a_state_told_again_without_id_and_time_counts_again() -> None:
    call = {"type": "identify", "userId": "u", "traits": {"plan": "pro"}}
    assert ids(call) != ids(call, received_at=NOW + MINUTE)


# ---- bounds ----------------------------------------------------------------------------------------------


def test_gzip_is_recognised_whatever_the_headers_say() -> None:
    plain = json.dumps(a_track(1)).encode()
    assert inflate(gzip.compress(plain)) == plain
    assert inflate(gzip.compress(plain[:9]) + gzip.compress(plain[9:])) == plain
    assert inflate(zlib.compress(plain), encoding="deflate") == plain
    assert inflate(plain, encoding="gzip") == plain


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    bomb = gzip.compress(b"0" * (200 * 1024 * 1024), compresslevel=9)
    assert len(bomb) < 300_000
    with pytest.raises(TooLarge):
        inflate(bomb)


def test_a_bomb_of_many_members_is_refused_too() -> None:
    with pytest.raises(TooLarge):
        inflate(gzip.compress(b"0" * 1_000_000) * 6)


def test_damaged_gzip_is_no_json() -> None:
    packed = gzip.compress(json.dumps(a_track(1)).encode())
    for damaged in (packed[:-20], packed[:10] + b"garbage", b"\x1f\x8b"):
        with pytest.raises(NotJson):
            inflate(damaged)


def test_too_much_is_refused() -> None:
    with pytest.raises(TooLarge):
        inflate(b"x" * (BODY_BYTES_MAX + 1))
    with pytest.raises(TooLarge):
        inflate(b"\x1f\x8b" + b"x" * 500 * 1024)
    with pytest.raises(TooLarge):
        split_body(b"[" + b"{}," * 2_500 + b"{}]")
    assert isinstance(split_body(b"[" + b"{}," * 2_499 + b"{}]"), Body)
