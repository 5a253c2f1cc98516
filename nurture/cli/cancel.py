"""`nurture cancel`: end a measure's runs and unsent mails."""

from nurture.cli import output
from nurture.cli.context import Json, Measure, Yes, confirm, current_actor, open_installation


def cancel(measure: Measure, *, yes: Yes = False, as_json: Json = False) -> None:
    """Pause a measure and cancel all its runs and unsent mails. This cannot be undone.

    Example: nurture cancel lead/any/abandoned_cart
    """
    from nurture.app import pauses

    with open_installation() as services:
        confirm(f"Cancel every run and unsent mail of {measure}? This cannot be undone.", yes=yes)
        done = pauses.cancel(services, measure, actor=current_actor())
    output.print_result(done, as_json=as_json, title="cancelled")
