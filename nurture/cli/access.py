"""`nurture access`: who may sign in, and the keys of applications."""

import sys
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, actor, services

app = typer.Typer(help="Who may: people who sign in, and keys of applications.", no_args_is_help=True)
user = typer.Typer(help="People who sign in to the console.", no_args_is_help=True)
key = typer.Typer(help="Keys of applications.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(key, name="key")

Name = Annotated[str, typer.Argument(help="Their name.", metavar="NAME")]
Role = Annotated[str, typer.Option(help="viewer (looks), operator (acts) or admin (also audit and access).")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@user.command("add")
def add_user(
    name: Name, *, role: Role = "viewer", password_stdin: Stdin = False, as_json: Json = False
) -> None:
    """Add somebody who may sign in; asks for the password, at least 12 characters.

    Example: nurture access user add ann --role operator
    """
    from nurture.app import access

    with services() as opened:
        password = _password(from_stdin=password_stdin)
        done = access.add_user(opened, name, role=role, password=password, actor=actor())
    output.document(done) if as_json else output.pairs(done, title="added")


@user.command("list")
def list_users(*, as_json: Json = False) -> None:
    """List everybody who may sign in with a name of their own.

    Example: nurture access user list
    """
    from nurture.app import access

    with services() as opened:
        rows = access.list_users(opened)
    output.document(rows) if as_json else output.table(
        rows, ["user", "role", "disabled", "sessions", "added"]
    )


@user.command("role")
def set_role(
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, operator or admin.")],
    *,
    as_json: Json = False,
) -> None:
    """Give somebody another role; it holds with their next click.

    Example: nurture access user role ann admin
    """
    from nurture.app import access

    with services() as opened:
        done = access.set_role(opened, name, role=role, actor=actor())
    output.document(done) if as_json else output.pairs(done)


@user.command()
def disable(
    name: Name,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
    as_json: Json = False,
) -> None:
    """Shut somebody out, and out of every session, at once.

    Example: nurture access user disable ann
    """
    from nurture.app import access

    with services() as opened:
        done = access.disable(opened, name, disabled=not undo, actor=actor())
    output.document(done) if as_json else output.pairs(done)


@user.command()
def password(name: Name, *, password_stdin: Stdin = False, as_json: Json = False) -> None:
    """Give somebody another password; every session of theirs is over.

    Example: nurture access user password ann
    """
    from nurture.app import access

    with services() as opened:
        done = access.set_password(opened, name, password=_password(from_stdin=password_stdin), actor=actor())
    output.document(done) if as_json else output.pairs(done)


@key.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="The source that its events come from, e.g. shop.")],
    *,
    scope: Annotated[
        list[str], typer.Option(help="ingest (events), send (mail), read (figures), admin (suppress, erase).")
    ],
    as_json: Json = False,
) -> None:
    """Make a key. It is shown now and never again; the database keeps its hash.

    Example: nurture access key add shop --scope ingest
    """
    from nurture.app import access

    with services() as opened:
        done = access.add_key(opened, name, scopes=tuple(scope), actor=actor())
    if as_json:
        output.document(done)
        return
    output.pairs(done, title="write the key down now; it is not shown again")


@key.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """List all keys, what they may, and when each was used last.

    Example: nurture access key list
    """
    from nurture.app import access

    with services() as opened:
        rows = access.list_keys(opened)
    columns = ["id", "name", "scopes", "by", "added", "last_used", "revoked"]
    output.document(rows) if as_json else output.table(rows, columns)


@key.command("revoke")
def revoke_key(
    identifier: Annotated[str, typer.Argument(help="The key's id.", metavar="ID")], *, as_json: Json = False
) -> None:
    """Revoke a key: within two seconds no process takes it any more.

    Example: nurture access key revoke 5f0c91aa
    """
    from nurture.app import access

    with services() as opened:
        done = access.revoke_key(opened, identifier, actor=actor())
    output.document(done) if as_json else output.pairs(done)


def _password(*, from_stdin: bool) -> str:
    """Return a password that was typed twice, or one line of standard input; it never stands in the history."""
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
