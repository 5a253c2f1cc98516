"""Status, doctor, readiness, metrics and log show the same trouble."""

import httpx

from nurture.app.doctor import examine_running
from nurture.app.status import describe
from nurture.app.watch import watch
from nurture.database.engine import Database
from nurture.domain.health.signs import ProcessSign
from nurture.domain.instant import HOUR, SECOND, Instant
from nurture.health import queries
from nurture.runtime.clock import ManualClock
from nurture.web import create_app
from tests.web.live import a_service, running

NOW = 1_000 * HOUR


def beat(database: Database, at: Instant) -> None:
    """Write the row of a running `nurture up`."""
    sign = ProcessSign("up", "h1", 1, "1.0", NOW, at)
    database.run(lambda connection: queries.save_process(connection, sign))


def test_a_relay_that_goes_away_and_comes_back_is_shown_everywhere(sqlite_database: Database) -> None:
    clock = ManualClock(NOW)
    services = a_service(sqlite_database, clock=clock)
    with running(create_app(services)) as url, httpx.Client(base_url=url) as client:

        def shown() -> tuple[bool, list[str], int, bool]:
            """Return what each printer says: status, the checks that fail, readiness, whether the lane is up."""
            failed = [row["check"] for row in examine_running(services) if not row["ok"]]
            is_up = 'nurture_lane_up{lane="main"} 1.0' in client.get("/metrics").text
            return describe(services)["ok"], failed, client.get("/readyz").status_code, is_up

        beat(sqlite_database, NOW)
        sqlite_database.run(lambda c: queries.save_success(c, "main", at=NOW))
        assert shown() == (True, [], 200, True)
        clock.advance_to(NOW + 12 * SECOND)
        sqlite_database.run(
            lambda c: queries.save_failure(c, "main", at=clock.now(), stage="connect", words="refused")
        )
        assert shown() == (False, ["running: relay"], 503, False)
        assert client.get("/readyz").json()["problems"] == ["relay"]
        trouble = 'nurture_trouble{about="main",part="relay",severity="problem"} 1.0'
        assert trouble in client.get("/metrics").text
        assert [finding.key for finding in watch(services).begun] == ["relay:main"]
        clock.advance_to(NOW + 24 * SECOND)
        beat(sqlite_database, clock.now())
        sqlite_database.run(lambda c: queries.save_answer(c, "main", at=clock.now()))
        assert shown() == (True, [], 200, True)
        assert [row.key for row in watch(services).ended] == ["relay:main"]


def test_the_doctor_of_a_stopped_installation_asks_for_nothing_to_run(sqlite_database: Database) -> None:
    services = a_service(sqlite_database, clock=ManualClock(NOW))
    assert [(row["check"], row["ok"]) for row in examine_running(services)] == [("running: up", True)]
    beat(sqlite_database, NOW - HOUR)
    assert [(row["check"], row["ok"]) for row in examine_running(services)] == [("running: up", False)]
