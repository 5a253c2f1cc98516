"""`python -m nurture.cli` is the `nurture` command."""

from nurture.cli import main

main()
