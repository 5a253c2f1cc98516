"""`nurture status`: the screen, the document and the exit code."""

from nurture.app.installation import open_existing
from nurture.domain.health.rates import slot_of
from nurture.domain.health.signs import ProcessSign
from nurture.health import queries
from tests.cli.shell import Shell


def test_status_of_an_installation_in_which_nothing_runs_and_of_one_that_does_well(nurture: Shell) -> None:
    nurture.install()
    stopped = nurture("status")
    assert stopped.code == 1
    assert "nothing runs" in stopped.out
    assert stopped.line() == "nurture: 1 problem needs a person"
    services = open_existing()
    try:
        with services.database.write() as connection:
            now = services.clock.lease_now(connection)
            sign = ProcessSign("up", "h1", 1, "1.0", now, now, "api, worker and scheduler")
            queries.save_process(connection, sign)
            queries.save_success(connection, "main", at=now)
            counts = {("main", "gmail.com", "sent"): 98, ("main", "gmail.com", "hard_bounces"): 2}
            queries.add_counts(connection, queries.count_rows(slot_of(now), counts))
    finally:
        services.close()
    running = nurture("status")
    assert (running.code, running.err) == (0, "")
    assert "2 (2.00%)" in running.out
    assert "gmail.com" in running.out
    document = nurture("status", "--json").document
    assert document["ok"]
    assert document["processes"][0]["state"] == "running"
    assert document["rates"]["lanes"][0]["hard_bounce_rate"] == 0.02
    assert [row["lane"] for row in document["relay"]] == ["main"]
