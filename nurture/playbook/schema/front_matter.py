"""The model of a mail's front matter."""

from nurture.playbook.schema.values import Strict, Words


class FrontMatter(Strict):
    """The lines between `---` at the top of a mail: its subject and preheader, both templates."""

    subject: Words
    preheader: Words
