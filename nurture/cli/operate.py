"""`nurture doctor`, `migrate` and `config show`."""

import typer

from nurture.cli import output
from nurture.cli.context import Json, services
from nurture.domain.errors import CheckFailed

config = typer.Typer(help="The settings.", no_args_is_help=True)


def doctor(*, as_json: Json = False) -> None:
    """Check the invariants and the configuration; exit code 1 when something is wrong.

    Example: nurture doctor --json
    """
    from nurture.app import doctor as ask

    with services() as opened:
        findings = ask.examine(opened)
    if as_json:
        output.document(findings)
    else:
        output.table(findings, ["check", "ok", "detail"])
    bad = [finding["check"] for finding in findings if not finding["ok"]]
    if bad:
        message = f"{len(bad)} of {len(findings)} checks found something: {', '.join(bad)}"
        raise CheckFailed(message)


def migrate(*, as_json: Json = False) -> None:
    """Create the database or bring it to this version; publish the playbook where none is active yet."""
    from nurture.app.installation import migrate as bring
    from nurture.database import migrations
    from nurture.runtime.settings import load_settings

    opened = bring(load_settings())
    try:
        done = {"database": opened.settings.shown()["NURTURE_DATABASE_URL"], "revision": migrations.head()}
    finally:
        opened.close()
    output.document(done) if as_json else output.pairs(done, title="ready")


@config.command("show")
def show(*, as_json: Json = False) -> None:
    """Show every setting, its value and where it comes from; secrets stay hidden."""
    from nurture.runtime.settings import Settings, load_settings

    settings = load_settings()
    shown, sources = settings.shown(), settings.sources()
    rows = [
        {"setting": name, "value": shown[name], "from": sources[name], "meaning": field.description}
        for name, field in zip(shown, Settings.model_fields.values(), strict=True)
    ]
    output.document(rows) if as_json else output.table(rows, ["setting", "value", "from", "meaning"])
