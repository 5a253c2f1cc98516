"""The file of reactions: what it may say, and that people react by it."""

from pathlib import Path

import pytest

from nurture.database.engine import Database
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, HOUR
from nurture.simulation.play import Input
from nurture.simulation.reaction_rates import read_rates, shipped_rates
from nurture.simulation.reactions import Reactions
from tests.scenarios.world import SECRET, World


def of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "reactions.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    rates = read_rates(
        of(tmp_path, "confirm: 10%\npurposes: {sales: {click: 5%, unsubscribe: 0%, complain: 0%}}\n")
    )
    assert rates.confirm == 0.1
    assert rates.purposes["sales"].click == 0.05
    assert rates.purposes["nurture"] == shipped_rates().purposes["nurture"]
    survey = rates.of_mail(path="customer/any/nps_survey", purpose="survey", action="answer")
    assert (survey.event, survey.rate) == ("Survey Answered", 0.9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("confirm: 120%", "confirm"),
        ("confirm: often", "confirm"),
        ("confrim: 10%", "confrim"),
        ("purposes: {sale: {click: 5%, unsubscribe: 0%, complain: 0%}}", "no such purpose"),
        ("actions: {read: {event: Story Read, rate: 10%}}", "add Story Read"),
        ("delay: {from: 3h, to: 1h}", "`from` is more than 0"),
        ("fatigue: {window: 14d, free: 3, interest: 80%, annoyance: 0.5}", "annoyance"),
        ("- a list", "write keys"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_rates(of(tmp_path, text))
    assert "reactions.yaml" in str(error.value)


def reactions_of(world: World, tmp_path: Path, text: str) -> list[Input]:
    react = Reactions(3, SECRET.encode(), world.services.playbooks, read_rates(of(tmp_path, text)))
    return list(react(world.database, world.now))


def names_of(reactions: list[Input]) -> list[str]:
    return [item.event.name for item in reactions if item.event is not None]


def test_people_react_by_the_rates_and_those_without_mail_by_themselves(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Everybody is reminded of a cart but those of the holdout; a rate of all or of none leaves nothing to chance."""
    world = World(sqlite_database)
    for number in range(24):
        person = f"p{number}@example.com"
        world.tell(person, "Consent Given", topic="reminders")
        world.tell(person, "Product Added", cart_id=f"c{number}", product_id="v60", name="Set", price=32)
    world.live(3 * HOUR)
    mails = len(world.mails())
    assert 12 < mails < 24
    eager = "purposes: {sales: {click: 100%, unsubscribe: 0%, complain: 0%}}\nby_itself: "
    actions = "\nactions: {resume: {event: Order Completed, rate: 100%}}"
    alone = names_of(reactions_of(world, tmp_path, f"{eager}0%{actions}"))
    both = names_of(reactions_of(world, tmp_path, f"{eager}100%{actions}"))
    assert alone.count("Order Completed") == alone.count("Email Link Clicked") == mails
    assert both.count("Order Completed") == 24
    annoyed = "purposes: {sales: {click: 0%, unsubscribe: 100%, complain: 0%}}\nby_itself: 0%"
    assert [item.event for item in reactions_of(world, tmp_path, annoyed)] == [None] * mails


def test_further_mails_tire(sqlite_database: Database, tmp_path: Path) -> None:
    world = World(sqlite_database)
    person = "p@example.com"
    world.tell(person, "Consent Given", topic="reminders")
    text = (
        "purposes: {sales: {click: 100%, unsubscribe: 0%, complain: 0%}}\n"
        "fatigue: {window: 90d, free: 1, interest: 0%, annoyance: 1}\nby_itself: 0%"
    )
    react = Reactions(3, SECRET.encode(), world.services.playbooks, read_rates(of(tmp_path, text)))
    clicks = []
    for number in range(3):
        world.tell(person, "Product Added", cart_id=f"c{number}", product_id="v60", name="Set", price=32)
        world.live(20 * DAY)
        clicks.append(names_of(list(react(world.database, world.now))).count("Email Link Clicked"))
    assert clicks[0] == 1
    assert sum(clicks[1:]) == 0
