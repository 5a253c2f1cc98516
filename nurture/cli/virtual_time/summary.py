"""Shared by `nurture demo` and `nurture simulate`: their options, the progress line and the summary."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nurture.cli import output

if TYPE_CHECKING:
    from nurture.simulation.play import Progress, Tick

People = Annotated[int, typer.Option(help="Number of people.", min=1, max=1_000_000)]
Days = Annotated[int, typer.Option(help="Number of simulated days.", min=1, max=3_660)]
Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same people.")]

#: Seconds between two progress lines: in a terminal, where the line is overwritten, and elsewhere.
_PROGRESS_SECONDS = (0.2, 10.0)


def progress_printer(*, as_json: bool) -> "Progress | None":
    """Return a function that prints the progress on standard error; None with --json."""
    from nurture.domain.instant import to_iso
    from nurture.runtime.clock import monotonic

    is_terminal = sys.stderr.isatty()
    begin, end = ("\r", " ") if is_terminal else ("", "\n")
    printed_at, has_printed = monotonic(), False

    def print_progress(moment: "Tick") -> None:
        nonlocal printed_at, has_printed
        now, is_over = monotonic(), moment.at >= moment.end
        # A simulation that ends before the first interval prints nothing, except its last line after others.
        if now - printed_at < _PROGRESS_SECONDS[not is_terminal] and not (is_over and has_printed):
            return
        printed_at, has_printed = now, True
        done = f"{moment.counts['applied']:,} events, {moment.counts['sent']:,} mails"
        line = f"{begin}{to_iso(moment.at)[:10]} {moment.share:4.0%}  {done}"
        sys.stderr.write(line + ("\n" if is_over else end))
        sys.stderr.flush()

    return None if as_json else print_progress


def print_summary(summary: dict[str, Any], *, as_json: bool) -> None:
    """Print people by stage, mails by measure, and unsent mails by reason."""
    if as_json:
        output.print_json(summary)
        return
    output.print_fields({name: summary[name] for name in ("from", "to", "events", "mails")})
    output.print_table(summary["stages"], ["track", "stage", "people"], title="people by stage")
    states = ["planned", "sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting"]
    output.print_table(summary["measures"], ["measure", *states], title="mails by measure")
    reasons = [{"reason": name, "mails": count} for name, count in summary["reasons"].items()]
    output.print_table(reasons, ["reason", "mails"], title="not sent, by reason")
    columns = ["measure", "step", "because"]
    output.print_table(
        summary["never_sent"], columns, title="never sent to anybody", empty="every mail was sent"
    )
