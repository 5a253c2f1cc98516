"""`nurture hooks`: events posted to other systems."""

from typing import Annotated, Literal

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation
from nurture.domain.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Show the posts of events to other systems, and try again.")

State = Literal["waiting", "sent", "failed"]


@app.command("list")
def list_posts(
    *,
    state: Annotated[State | None, typer.Option(help="Show the posts of this state.")] = None,
    posts: Annotated[bool, typer.Option("--posts", help="Show single posts instead of addresses.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many posts.")] = 100,
    as_json: Json = False,
) -> None:
    """List the addresses of NURTURE_EVENT_HOOKS with the number of their posts, or single posts, newest first.

    Example: nurture hooks list --state failed
    """
    from nurture.app.webhooks import outgoing

    with open_installation() as services:
        if posts or state is not None:
            rows = outgoing.list_posts(services, state=state, limit=limit)
            columns = ["post", "event", "contact", "target", "state", "attempts", "due", "settled", "reply"]
        else:
            rows = outgoing.list_targets(services)
            columns = ["target", "events", "waiting", "sent", "failed", "last"]
    output.print_rows(rows, columns, as_json=as_json, empty="no hook is set, and nothing was posted")


@app.command()
def show(
    post: Annotated[int, typer.Argument(help="The number of the post.")], *, as_json: Json = False
) -> None:
    """Show one post with the answer to its last attempt.

    Example: nurture hooks show 12
    """
    from nurture.app.webhooks import outgoing

    with open_installation() as services:
        found = outgoing.show(services, post)
    output.print_result(found, as_json=as_json)


@app.command()
def retry(
    posts: Annotated[list[int] | None, typer.Argument(help="Numbers of posts.")] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="All posts that were given up.")] = False,
    as_json: Json = False,
) -> None:
    """Send posts again, from now on and as often as new ones. Written to the audit log.

    Example: nurture hooks retry --failed
    """
    from nurture.app.webhooks import outgoing

    if not posts and not failed:
        raise InputError("name the posts, or add --failed: nurture hooks retry --failed")
    with open_installation() as services:
        done = outgoing.try_again(services, posts or None, actor=current_actor())
    output.print_result(done, as_json=as_json)
