"""The preference centre: everything on it becomes what it was left at, and what it cannot read changes nothing."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database.engine import decode
from nurture.database.schema import consents, wordings
from nurture.domain.bot_detection import SIGNS
from nurture.domain.instant import DAY, parse_iso
from nurture.runtime.clock import ManualClock
from nurture.web.pages.public_dispatch import OUTCOMES
from tests.web.live import NOW, a_contact, accepted, stored_consents
from tests.web.pages.test_public import BOTH, client, events, kind, link, services, ticked, versions, wished

__all__ = ["client", "kind", "services"]


def form(text: str, **changes: Any) -> dict[str, Any]:
    """Return the form as a browser would send it, with these fields changed."""
    fields: dict[str, Any] = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    fields["topic"] = ticked(text)
    (fields["often"],) = re.findall(r'name="often" value="(\d+)" checked', text)
    (fields["pause"],) = re.findall(r'name="pause" [^>]*value="([^"]*)"', text)
    fields["locale"], fields["zone"] = re.findall(r'<option value="([^"]+)"[^>]* selected', text)
    if re.search(r'name="tracking" value="1" checked', text):
        fields["tracking"] = "1"
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def traits(services: Services) -> list[dict[str, Any]]:
    return [row["traits"] for row in accepted(services.database) if row["kind"] == "identify"]


@BOTH
def test_saving_what_is_shown_changes_nothing(client: httpx.Client, services: Services) -> None:
    path = link("preferences", a_contact(services.database, zone="Asia/Shanghai", locale="zh-CN"))
    shown = form(client.get(path).text)
    assert (shown["zone"], shown["locale"], shown["often"]) == ("Asia/Shanghai", "zh-CN", "0")
    assert client.post(path, data=shown).status_code == 200
    assert (stored_consents(services.database), wished(services), events(services)) == ([], [], [])
    assert versions(services) == [0]


@BOTH
def test_everything_is_saved_in_one_go(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    path = link("preferences", contact)
    asked = form(
        client.get(path).text,
        topic=["news"],
        often="14",
        pause="2026-07-01",
        locale="zh-CN",
        zone="Asia/Tokyo",
        tracking=None,
    )
    answer = client.post(path, data=asked)
    # The answer is in the language just chosen, and shows what was saved.
    assert "已保存" in answer.text
    saved = form(answer.text)
    assert saved == {**asked, "wording": saved["wording"], "shown": "news"}
    assert stored_consents(services.database) == [(contact, "news", "granted")]
    # The first minute of that day where the person says they are.
    until = parse_iso("2026-06-30T15:00:00Z")
    assert wished(services) == [("often", 14 * DAY), ("pause", until), ("tracking", 1)]
    assert traits(services) == [{"locale": "zh-CN", "timezone": "Asia/Tokyo"}]
    assert ("Preferences Changed", {
        "message": 7, "days_between": 14, "paused_until": "2026-06-30T15:00:00Z", "tracking": False,
    }) in events(services)  # fmt: skip
    again = form(client.get(path).text)
    assert {name: again[name] for name in ("often", "pause", "topic")} == {
        "often": "14", "pause": "2026-06-30", "topic": ["news"],
    }  # fmt: skip


@BOTH
def test_a_requested_preference_can_be_taken_back(client: httpx.Client, services: Services) -> None:
    path = link("preferences", a_contact(services.database))
    clock = services.clock
    assert isinstance(clock, ManualClock)
    client.post(path, data=form(client.get(path).text, often="30", pause="2026-08-01", tracking=None))
    clock.advance_to(NOW + 1)
    client.post(path, data=form(client.get(path).text, often="0", pause="", tracking="1"))
    assert wished(services)[3:] == [("often", 0), ("pause", 0), ("tracking", 0)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("often", "1"),
        ("often", "-7"),
        ("often", "٧"),
        ("often", "7 days"),
        ("pause", "soon"),
        ("pause", "2026-05-01"),
        ("pause", "2027-06-01"),
        ("pause", "9999-12-31"),
        ("pause", "2026-02-30"),
        ("zone", "Mars/Olympus"),
        ("zone", "../../etc/passwd"),
        ("locale", "tlh"),
    ],
)
def test_a_field_that_cannot_be_read_is_named_and_nothing_is_saved(
    client: httpx.Client, services: Services, field: str, value: str
) -> None:
    path = link("preferences", a_contact(services.database))
    answer = client.post(path, data=form(client.get(path).text, topic=["news"], **{field: value}))
    assert answer.status_code == 422
    assert "Not saved yet" in answer.text
    assert answer.text.count('role="alert"') == 2
    # Ticked boxes stay ticked, so that nobody has to begin anew.
    assert ticked(answer.text) == ["news"]
    assert (stored_consents(services.database), wished(services), events(services)) == ([], [], [])


def test_the_words_that_somebody_agreed_to_are_kept_with_the_agreement(
    client: httpx.Client, services: Services
) -> None:
    contact = a_contact(services.database)
    for purpose, fields in (("confirm", {}), ("preferences", {"topic": ["news", "offers"]})):
        path = link(purpose, contact)
        shown = re.findall(r'name="wording" value="(\w+)"', client.get(path).text)
        client.post(path, data={"wording": shown, **fields})
    with services.database.read() as connection:
        rows = connection.execute(sa.select(consents).order_by(consents.c.id)).all()
        kept = {row.version: row for row in connection.execute(sa.select(wordings))}
    assert [(row.topic, row.state, row.purpose) for row in rows[:2]] == [
        ("news", "granted", "marketing"),
        ("offers", "granted", "marketing"),
    ]
    assert [decode(row.evidence) for row in rows[:2]] == [
        {"message": 7, "page": "confirm", "language": "en"},
        {"message": 7, "page": "preferences", "language": "en"},
    ]
    confirmed = decode(kept[rows[0].wording].words)
    assert "Send “News and guides” to {address}?" in confirmed
    assert "one short mail a week" in confirmed
    assert "Offers" in decode(kept[rows[1].wording].words)


def test_words_that_were_never_shown_are_not_claimed(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    client.post(link("confirm", contact), data={"wording": "deadbeefdeadbeef"})
    with services.database.read() as connection:
        assert connection.scalars(sa.select(consents.c.wording)).all() == [""]
        assert connection.execute(sa.select(wordings)).all() == []


def test_the_page_needs_no_script_and_stays_small(client: httpx.Client, services: Services) -> None:
    answer = client.get(link("preferences", a_contact(services.database)))
    assert "<script" not in answer.text
    assert "javascript:" not in answer.text
    assert len(answer.content) < 60_000
    assert "mara@example.com" not in answer.text


def test_every_request_is_counted_once_by_how_it_ended(client: httpx.Client, services: Services) -> None:
    contact = a_contact(services.database)
    erased = a_contact(services.database, "gone@example.com", erased_at=NOW)
    path = link("preferences", contact)

    def counts() -> dict[str, float]:
        found = re.findall(
            r'nurture_items_total{reason="(\w+)",room="pages"} ([\d.]+)', client.get("/metrics").text
        )
        return {reason: float(number) for reason, number in found}

    def added(method: str, path: str, **given: Any) -> dict[str, float]:
        before = counts()
        client.request(method, path, **given)
        after = counts()
        return {reason: number - before.get(reason, 0) for reason, number in after.items()
                if number != before.get(reason, 0)}  # fmt: skip

    assert added("GET", path) == {"shown": 1}
    assert added("POST", path, data={"topic": "news"}) == {"done": 1}
    assert added("POST", path[:-4]) == {"invalid": 1}
    assert added("GET", link("preferences", erased)) == {"gone": 1}
    assert added("POST", path, content=b"x" * 100_000) == {"unread": 1}
    assert added("GET", "/o/x") == {"invalid": 1}
    assert counts().keys() <= OUTCOMES.keys()


@pytest.mark.parametrize(("head", "meanings"), [("reason", OUTCOMES), ("sign", SIGNS)])
def test_the_closed_lists_stand_in_the_documentation(head: str, meanings: dict[str, str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "http.md").read_text()
    table = page.split(f"| {head} | meaning |\n|---|---|\n")[1].split("\n\n")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.*?) \|$", table, re.MULTILINE)) == dict(meanings)
