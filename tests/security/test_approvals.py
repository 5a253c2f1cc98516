"""A send to many people takes two operators: one requests it, another approves it within a day."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest
import sqlalchemy as sa

from nurture.app import approvals
from nurture.app.accounts import access
from nurture.app.installation import open_existing
from nurture.app.sends import hand_in
from nurture.app.sends.hand_in import SendOrder, people_to_approve
from nurture.app.sends.options import SendOptions
from nurture.app.sends.recipients import audience_of
from nurture.app.services import Services
from nurture.database.schema import audit, inbox
from nurture.domain.access import may_be_same_person
from nurture.domain.errors import InputError, NotFoundError
from nurture.runtime.clock import ManualClock, SystemClock
from tests.cli.shell import Shell
from tests.security.people import PASSWORD, form_token, sign_in

MEASURE = "customer/any/order_confirmation"
EVERYBODY = "orders >= 1"
#: An order of nobody yet.
WORDS = ("--set", "order_id=o77")
OPTIONS = SendOptions(values={"order_id": "o77"})
PEOPLE = 4


on_both = pytest.mark.usefixtures("database_url")


@pytest.fixture
def shop(nurture: Shell, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Give a shop with four customers, where a send to more than three takes two people."""
    nurture.set("SECRET_KEY", "a-secret-of-the-tests-long-enough")
    nurture.set("SUPPRESSION_KEY", "another-secret-of-the-tests")
    nurture.set("APPROVE_SENDS_OVER", "3")
    if "database_url" in request.fixturenames:
        nurture.set("DATABASE_URL", request.getfixturevalue("database_url"))
        add_customers(nurture)
    else:
        nurture.fill(tmp_path_factory.getbasetemp() / "shop_with_four", add_customers)
    return nurture


def add_customers(shop: Shell) -> None:
    """Make the installation and its four customers."""
    assert shop("migrate").code == 0
    for number in range(PEOPLE):
        add_customer(shop, number)
    shop.work()


def add_customer(shop: Shell, number: int) -> None:
    words = [
        "-p",
        f"order_id=o{number}",
        "-p",
        "revenue=1",
        "-p",
        "total=1",
        "-p",
        "currency=EUR",
        "-p",
        "products=[]",
    ]
    assert shop("track", f"ann{number}@example.com", "Order Completed", *words).code == 0


def one_more(shop: Shell) -> None:
    add_customer(shop, 9)
    shop.work()


@pytest.fixture
def services(shop: Shell) -> Iterator[Services]:
    opened = open_existing(clock=ManualClock(SystemClock().now()))
    yield opened
    opened.close()


def handed_in(services: Services) -> int:
    with services.database.read() as connection:
        count = sa.select(sa.func.count()).select_from(inbox).where(inbox.c.kind == "ops")
        return int(connection.scalar(count) or 0)


FORECAST = {
    "reached_now": 1,
    "reached_later": 2,
    "later_until": "2026-11-02T10:00:00Z",
    "already_sent": 0,
    "never": {"holdout": 1},
    "as_of": "2026-11-01T10:00:00Z",
}


def order_of(request: str, expression: str = EVERYBODY, *, actor: str = "cli:ann") -> SendOrder:
    return SendOrder(MEASURE, audience_of(expression), request=request, actor=actor, options=OPTIONS)


def ask(services: Services, *, actor: str = "cli:ann", request: str = "r1") -> None:
    order = order_of(request, actor=actor)
    order = replace(order, options=replace(OPTIONS, forecast=FORECAST))
    people = people_to_approve(services, order.recipients)
    assert people == PEOPLE
    approvals.request_approval(services, order, people=people)


def test_a_send_to_many_waits_and_its_requester_cannot_approve_it(shop: Shell, services: Services) -> None:
    dry = shop("send", MEASURE, *WORDS, "--audience", EVERYBODY, "--dry-run", "--json").document
    assert (dry["people"], dry["second_operator"]) == (PEOPLE, True)
    answer = shop("send", MEASURE, *WORDS, "--audience", EVERYBODY, "--request", "r1", "--yes", "--json")
    assert (answer.code, answer.document["state"], answer.document["people"]) == (0, "waiting", PEOPLE)
    refused = shop("sends", "approve", "r1", "--yes")
    assert refused.code == 2
    assert "takes somebody else" in refused.line()
    assert handed_in(services) == 0
    assert shop("sends", "list", "--json").document[0]["state"] == "waiting_for_approval"
    # The second operator decides by what the forecast said.
    forecast = shop("sends", "show", "r1", "--json").document["forecast"]
    assert forecast["reached"] + sum(forecast["never"].values()) == PEOPLE


@on_both
def test_another_operator_approves_and_the_send_begins(services: Services) -> None:
    ask(services)
    done = approvals.approve(services, "r1", actor="cli:bob")
    assert (done["people"], handed_in(services)) == (PEOPLE, PEOPLE)
    approvals.approve(services, "r1", actor="cli:bob")
    assert handed_in(services) == PEOPLE
    with services.database.read() as connection:
        actions = [
            (row.actor, row.action) for row in connection.execute(sa.select(audit).order_by(audit.c.id))
        ]
    assert actions[-3:] == [("cli:ann", "send.ask"), ("cli:bob", "send.approve"), ("cli:ann", "send")]


def test_no_command_avoids_the_second_person(shop: Shell, services: Services) -> None:
    def send(request: str, expression: str = EVERYBODY) -> None:
        hand_in.send(services, order_of(request, expression))

    for request in ("r0", "r1"):
        with pytest.raises(InputError, match="second operator"):
            send(request)
        ask(services)
    approvals.approve(services, "r1", actor="cli:bob")
    ask(services, request="r2")
    with pytest.raises(InputError, match="second operator"):
        send("r2")
    approvals.reject(services, "r2", actor="cli:ann")
    with pytest.raises(InputError, match="second operator"):
        send("r2")
    # Approved is one audience, not another under the same request.
    ask(services, request="r3")
    with services.database.write() as connection:
        connection.execute(sa.text("UPDATE approvals SET state = 'approved' WHERE request = 'r3'"))
    with pytest.raises(InputError, match="second operator"):
        send("r3", "orders >= 0")
    assert handed_in(services) == PEOPLE


def test_a_send_to_few_people_needs_no_approval(shop: Shell, services: Services) -> None:
    assert shop("send", MEASURE, *WORDS, "--to", "ann1@example.com", "--request", "r1").code == 0
    assert shop("send", MEASURE, *WORDS, "--audience", "orders >= 5", "--request", "r2", "--yes").code == 0
    assert handed_in(services) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda services, _: services.clock.advance_to(services.clock.now() + approvals.APPROVAL_PERIOD),
        lambda services, _: approvals.reject(services, "r1", actor="cli:carl"),
        lambda _, shop: one_more(shop),
    ],
    ids=["a day has passed", "somebody rejected it", "the audience has grown"],
)
def test_an_approval_sends_exactly_the_request(
    shop: Shell, services: Services, spoil: Callable[[Services, Shell], object]
) -> None:
    ask(services)
    spoil(services, shop)
    with pytest.raises(InputError, match=r"longer than a day|was already rejected|has grown"):
        approvals.approve(services, "r1", actor="cli:bob")
    assert handed_in(services) == 0


def test_a_request_is_asked_once_and_not_for_something_else(services: Services) -> None:
    ask(services)
    ask(services, actor="cli:bob")
    (row,) = approvals.list_requests(services)
    assert row["asked_by"] == "cli:ann"
    with pytest.raises(InputError, match="another measure, audience, time or option"):
        approvals.request_approval(services, order_of("r1", "orders >= 0"), people=9)
    with pytest.raises(NotFoundError, match="sends list"):
        approvals.approve(services, "r9", actor="cli:bob")


@on_both
def test_an_interrupted_approval_continues_where_it_stopped(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(services)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hand_in, "_hand_in_page", die)
        with pytest.raises(KeyboardInterrupt):
            approvals.approve(services, "r1", actor="cli:bob")
    assert handed_in(services) == 0
    approvals.approve(services, "r1", actor="cli:bob")
    assert handed_in(services) == PEOPLE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("cli:ann", "user:ann", True),
        ("cli:Ann", "user:ann", True),
        ("cli:ann", "user:bob", False),
        ("user:admin", "user:ann", False),
        ("key:5f0c91aa", "user:ann", True),
        ("cli:ann", "user:local", True),
    ],
)
def test_two_actors_may_be_one_person(one: str, other: str, *, same: bool) -> None:
    assert may_be_same_person(one, other) is same


def test_in_the_console_another_operator_sends_it(
    services: Services, open_client: Callable[[Services], httpx.Client]
) -> None:
    for name in ("ann", "bob"):
        access.add_user(services, name, role="operator", password=PASSWORD, actor="cli:test")
    ask(services)
    client = open_client(services)
    sign_in(client, "ann")
    form = {"request": "r1", "form": form_token(client, "/sends")}
    assert "<button>Approve</button>" not in client.get("/sends").text
    refused = client.post("/sends/approve", data=form)
    assert refused.status_code == 400
    assert "takes somebody else" in refused.text
    client.cookies.clear()
    sign_in(client, "bob")
    assert "<button>Approve</button>" in client.get("/sends").text
    page = client.get("/sends/r1").text
    assert "reached now 1, later 2 (until 2026-11-02T10:00:00Z)" in page
    assert "never because of holdout 1; as of 2026-11-01T10:00:00Z" in page
    form = {"request": "r1", "form": form_token(client, "/sends")}
    assert client.post("/sends/approve", data=form).status_code == 303
    # The page does not wait for the people: workers hand them in.
    assert handed_in(services) == 0
    assert hand_in.continue_sends(services).total() == PEOPLE
    page = client.get("/sends").text
    assert "approved by user:bob" in page
    assert "<button>Pause</button>" in page
    assert client.post("/sends/pause", data=form).status_code == 303
    shown = client.get("/sends/r1").text
    assert "no mail of it leaves until it is resumed" in shown
    assert "<button>Resume</button>" in shown
    assert client.post("/sends/cancel", data=form).status_code == 303
    assert "what had not left was cancelled" in client.get("/sends/r1").text
    assert client.post("/sends/resume", data=form).status_code == 400
    assert client.get("/sends/r9").status_code == 404
