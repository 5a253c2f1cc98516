"""`nurture sends`: follow, approve, pause, resume, cancel and slow down sends."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, Yes, confirm, current_actor, open_installation

app = typer.Typer(help="Follow and control sends.", no_args_is_help=True)
Request = Annotated[str, typer.Argument(help="The send's request id.", metavar="ID")]


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List sends: those that wait for a second operator first, then the newest.

    Example: nurture sends list
    """
    from nurture.app.sends import control

    with open_installation() as services:
        rows = control.list_sends(services)
    columns = ["request", "measure", "audience", "people", "state", "asked_by", "at", "send_at", "rate"]
    output.print_rows(rows, columns, as_json=as_json, empty="no sends")


@app.command()
def show(request: Request, *, as_json: Json = False) -> None:
    """Show one send: state, progress, present rate, estimate of its end, and outcomes by reason.

    Example: nurture sends show 5f0c91aa
    """
    from nurture.app.sends import control

    with open_installation() as services:
        send = control.show_send(services, request)
    output.print_result(send, as_json=as_json)


@app.command()
def approve(request: Request, *, yes: Yes = False, as_json: Json = False) -> None:
    """Approve a send that another operator requested. It starts at once.

    Example: nurture sends approve 5f0c91aa
    """
    from nurture.app import approvals

    with open_installation() as services:
        pending = approvals.find_request(services, request)
        if pending is not None and not as_json:
            output.print_fields(pending, title="requested send")
        question = f"Send {pending['measure']} to {pending['people']} people?" if pending else "Approve?"
        confirm(question, yes=yes)
        done = approvals.approve(services, request, actor=current_actor())
    output.print_result(done, as_json=as_json, title="send started")


@app.command()
def reject(request: Request, *, as_json: Json = False) -> None:
    """Reject a send, or withdraw your own.

    Example: nurture sends reject 5f0c91aa
    """
    from nurture.app import approvals

    with open_installation() as services:
        done = approvals.reject(services, request, actor=current_actor())
    output.print_result(done, as_json=as_json)


@app.command()
def pause(
    request: Request,
    *,
    reason: Annotated[str, typer.Option(help="The reason; shown wherever the send is shown.")] = "",
    as_json: Json = False,
) -> None:
    """Pause one send: mail of it that has not passed the send gate waits. Other mail goes on.

    Example: nurture sends pause 5f0c91aa --reason 'wrong price'
    """
    from nurture.app.sends import control

    with open_installation() as services:
        done = control.pause(services, request, actor=current_actor(), reason=reason or "paused by ops")
    output.print_result(done, as_json=as_json)


@app.command()
def resume(request: Request, *, as_json: Json = False) -> None:
    """Resume a paused send. Nobody gets anything twice.

    Example: nurture sends resume 5f0c91aa
    """
    from nurture.app.sends import control

    with open_installation() as services:
        done = control.resume(services, request, actor=current_actor())
    output.print_result(done, as_json=as_json)


@app.command()
def cancel(
    request: Request,
    *,
    reason: Annotated[str, typer.Option(help="The reason; shown wherever the send is shown.")] = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Cancel the rest of one send. Mail that has left stays sent; the rest never leaves.

    Example: nurture sends cancel 5f0c91aa --reason 'wrong price' --yes
    """
    from nurture.app.sends import control

    with open_installation() as services:
        send = control.show_send(services, request)
        confirm(f"Cancel the rest of {send['measure']} ({send['state'].replace('_', ' ')})?", yes=yes)
        done = control.cancel(services, request, actor=current_actor(), reason=reason or "cancelled by ops")
    output.print_result(done, as_json=as_json)


@app.command()
def rate(
    request: Request,
    rate: Annotated[str, typer.Argument(help="Mails an hour or a minute, e.g. 500/h or 10/min; or none.")],
    *,
    as_json: Json = False,
) -> None:
    """Change how fast one send may go. Its waiting mails get new places.

    Example: nurture sends rate 5f0c91aa 500/h
    """
    from nurture.app.sends import control
    from nurture.domain.guard.sends import read_rate

    per_hour = None if rate == "none" else read_rate(rate)
    with open_installation() as services:
        done = control.set_rate(services, request, rate=per_hour, actor=current_actor())
    output.print_result(done, as_json=as_json)
