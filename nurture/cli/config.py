"""`nurture config`: show the settings."""

import typer

from nurture.cli import output
from nurture.cli.context import Json

app = typer.Typer(help="Show the settings.", no_args_is_help=True)


@app.command("show")
def show(*, as_json: Json = False) -> None:
    """Show every setting, its value and where the value comes from. Secrets stay hidden.

    Example: nurture config show
    """
    from nurture.runtime.settings import Settings, load_settings

    settings = load_settings()
    values, sources = settings.shown(), settings.sources()
    rows = [
        {"setting": name, "value": values[name], "from": sources[name], "meaning": field.description}
        for name, field in zip(values, Settings.model_fields.values(), strict=True)
    ]
    output.print_rows(rows, ["setting", "value", "from", "meaning"], as_json=as_json)
