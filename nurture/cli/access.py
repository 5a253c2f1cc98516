"""`nurture access`: manage the users of the console and the API keys of applications."""

import sys
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation

app = typer.Typer(help="Manage users and API keys.", no_args_is_help=True)
user = typer.Typer(help="Manage users who sign in to the console.", no_args_is_help=True)
key = typer.Typer(help="Manage API keys of applications.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(key, name="key")

Name = Annotated[str, typer.Argument(help="The user's name.", metavar="NAME")]
Role = Annotated[
    str,
    typer.Option(
        help="viewer (read only), operator (may change things) or admin (also audit log and access)."
    ),
]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@user.command("add")
def add_user(
    name: Name, *, role: Role = "viewer", password_stdin: Stdin = False, as_json: Json = False
) -> None:
    """Add a user. Asks for a password of at least 12 characters.

    Example: nurture access user add ann --role operator
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        password = _read_password(from_stdin=password_stdin)
        done = access.add_user(services, name, role=role, password=password, actor=current_actor())
    output.print_result(done, as_json=as_json, title="user added")


@user.command("list")
def list_users(*, as_json: Json = False) -> None:
    """List all users.

    Example: nurture access user list
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        rows = access.list_users(services)
    output.print_rows(rows, ["user", "role", "disabled", "sessions", "added"], as_json=as_json)


@user.command("role")
def set_role(
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, operator or admin.")],
    *,
    as_json: Json = False,
) -> None:
    """Change a user's role. It takes effect with the user's next request.

    Example: nurture access user role ann admin
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        done = access.set_role(services, name, role=role, actor=current_actor())
    output.print_result(done, as_json=as_json)


@user.command()
def disable(
    name: Name,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Enable the user again.")] = False,
    as_json: Json = False,
) -> None:
    """Disable a user and end all of the user's sessions at once.

    Example: nurture access user disable ann
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        done = access.disable(services, name, disabled=not undo, actor=current_actor())
    output.print_result(done, as_json=as_json)


@user.command()
def password(name: Name, *, password_stdin: Stdin = False, as_json: Json = False) -> None:
    """Set a user's password and end all of the user's sessions.

    Example: nurture access user password ann
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        new = _read_password(from_stdin=password_stdin)
        done = access.set_password(services, name, password=new, actor=current_actor())
    output.print_result(done, as_json=as_json)


@user.command()
def unlock(name: Name, *, as_json: Json = False) -> None:
    """Forget the wrong passwords of a user (or `admin`), and print a link that lets one browser try again.

    The link is valid for an hour and still asks for the password. In the browser that opened it, wrong passwords that
    others type elsewhere no longer count.

    Example: nurture access user unlock ann
    """
    from nurture.app.accounts.sign_in_limits import SignInLimits

    with open_installation() as services:
        done = SignInLimits(services).unlock(name, actor=current_actor())
    output.print_result(done, as_json=as_json, title="sign-in unlocked")


@key.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="The source of its events, for example shop.")],
    *,
    scope: Annotated[
        list[str],
        typer.Option(
            help="ingest (events), send (mail), read (reports) or admin (suppress, erase). Repeatable."
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            help="server (secret: what it says is proof) or browser (stands in a page or an app: what it says is "
            "a hint). Default: browser for a key of scope ingest alone, else server."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create an API key. It is shown only once; the database stores its hash.

    Example: nurture access key add shop --scope ingest
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        done = access.add_key(services, name, scopes=tuple(scope), kind=kind, actor=current_actor())
    output.print_result(done, as_json=as_json, title="store the key now; it is not shown again")


@key.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """List all API keys, their scopes, and when each was last used.

    Example: nurture access key list
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        rows = access.list_keys(services)
    columns = ["id", "name", "scopes", "kind", "by", "added", "last_used", "revoked"]
    output.print_rows(rows, columns, as_json=as_json)


@key.command("set")
def set_key(
    name: Annotated[str, typer.Argument(help="The key's name or id.")],
    *,
    kind: Annotated[str, typer.Option(help="server or browser.")],
    as_json: Json = False,
) -> None:
    """Set whether a key is a server's or stands in web pages and apps.

    Example: nurture access key set shop --kind server
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        done = access.set_key_kind(services, name, kind=kind, actor=current_actor())
    output.print_result(done, as_json=as_json)


@key.command("revoke")
def revoke_key(
    identifier: Annotated[str, typer.Argument(help="The key's id.", metavar="ID")], *, as_json: Json = False
) -> None:
    """Revoke an API key. Within two seconds no process accepts it any more.

    Example: nurture access key revoke 5f0c91aa
    """
    from nurture.app.accounts import access

    with open_installation() as services:
        done = access.revoke_key(services, identifier, actor=current_actor())
    output.print_result(done, as_json=as_json)


def _read_password(*, from_stdin: bool) -> str:
    """Return a password typed twice, or one line of standard input. Never an argument: the shell keeps those."""
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
