"""`nurture doctor`: check the database and the configuration."""

from nurture.cli import output
from nurture.cli.context import Json, open_installation
from nurture.domain.errors import CheckFailed


def doctor(*, as_json: Json = False) -> None:
    """Check the invariants, the configuration and what runs. Exit code 1 when a check fails.

    The rows `running: ...` are the findings of `nurture status`.

    Example: nurture doctor --json
    """
    from nurture.app.doctor import examine, examine_running

    with open_installation() as services:
        findings = examine(services) + examine_running(services)
    output.print_rows(findings, ["check", "ok", "detail"], as_json=as_json)
    failed = [finding["check"] for finding in findings if not finding["ok"]]
    if failed:
        message = f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}"
        raise CheckFailed(message)
