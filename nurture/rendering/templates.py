"""Templates: a playbook's files, compiled when they are first needed and kept.

`Templates.of(files, playbook)` is cheap; each mail compiles on its first use (some milliseconds) and stays.
Objects of one instance may be used by several threads.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import jinja2
from markupsafe import escape

from nurture.domain.playbook import Playbook
from nurture.rendering.errors import TemplateFault, TemplateProblem
from nurture.rendering.html_cache import Skeletons
from nurture.rendering.images import Image, read_images
from nurture.rendering.sandbox import Names, Sandbox
from nurture.rendering.shared_values import Imprint, imprint_of
from nurture.rendering.template_analysis import Anatomy, Reads, anatomy, is_fixed, reads_of
from nurture.rendering.template_files import (
    LAYOUT,
    Source,
    layout_path,
    loader,
    path_of,
    read_source,
    read_yaml,
)
from nurture.rendering.tracing.cache import Ways
from nurture.rendering.tracing.sandbox import WatchingSandbox

#: A file longer than this is no mail.
SOURCE_LENGTH_MAX: Final = 200_000
#: Choices of a template kept.
CHOSEN_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Template:
    """One mail in one locale, compiled."""

    # The MJML file; the text part stands beside it.
    path: str
    locale: str
    subject: jinja2.Template
    preheader: jinja2.Template
    markup: jinja2.Template
    text: jinja2.Template
    # Names it reads, layouts included.
    reads: Reads
    # Text that is the same in every mail of this template: brand, strings, literals; as is and escaped. None: its
    # values cannot be marked.
    fixed: frozenset[str] | None
    # Of everything it is made from.
    digest: str
    # Path and text of subject, preheader, markup and text.
    sources: Mapping[str, tuple[str, str]]
    # What is known of its mails.
    ways: Ways


@dataclass(frozen=True, slots=True)
class Expression:
    """A short text template that stands in another file: a link, a calendar's summary."""

    template: jinja2.Template
    reads: Reads
    # It is plain text, with names of the brand, the frame's words and the locale in between: the same in every mail.
    is_fixed: bool
    # What a fixed one says, by locale.
    said: dict[str, str] = field(default_factory=dict)


class Templates:
    """All templates of a playbook."""

    def __init__(self, files: Mapping[str, str], imprint: Imprint) -> None:
        """Keep files ({path: text}) and imprint; compile nothing yet."""
        self.files = files
        self.imprint = imprint
        self.brand = Names("brand", imprint.brand)
        self.markup = Sandbox(loader(files, part="mjml"), markup=True)
        self.plain = Sandbox(loader(files, part="txt"), markup=False)
        self.skeletons = Skeletons()
        self._templates: dict[tuple[str, str, str, str], Template] = {}
        self._anatomies: dict[tuple[str, str], Anatomy] = {}
        self._strings: dict[str, Names] = {}
        self._expressions: dict[tuple[str, str], Expression] = {}
        # By the MJML file.
        self._watched: dict[str, dict[str, jinja2.Template]] = {}
        self._chosen: dict[tuple[str, str, str, str | None], tuple[str, str, Template]] = {}

    @classmethod
    def of(cls, files: Mapping[str, str], playbook: Playbook) -> "Templates":
        """Return the templates of a built playbook and the files that it was built from."""
        return cls(files, imprint_of(playbook))

    @cached_property
    def images(self) -> Mapping[str, Image]:
        """Name -> image of the playbook's mails."""
        return read_images(self.files)

    @cached_property
    def _locales(self) -> Mapping[tuple[str, str, str], tuple[str, ...]]:
        """(measure, mail, variant) -> locales that there is an MJML file in."""
        found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for path in sorted(self.files):
            measure, _, name = path.rpartition("/")
            stem, _, part = name.rpartition(".")
            if part == "mjml" and not path.startswith(LAYOUT):
                mail, _, locale = stem.partition(".")
                mail, _, variant = mail.partition("@")
                found[measure, mail, variant].append(locale)
        return {key: tuple(locales) for key, locales in found.items()}

    def mails(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield (measure, mail, variant, locale) of every mail there is."""
        for (measure, mail, variant), locales in self._locales.items():
            for locale in locales:
                yield measure, mail, variant, locale

    def variant_for(self, measure: str, mail: str, variant: str) -> str:
        """Return the variant if it has a template of its own, else "" for the plain one."""
        return variant if (measure, mail, variant) in self._locales else ""

    def locale_for(self, measure: str, mail: str, variant: str, wanted: str | None) -> str:
        """Return the locale in which somebody who wants this one (BCP 47, None: unknown) gets the mail.

        The same tag, else the same language, else the playbook's default.
        """
        there = self._locales.get((measure, mail, self.variant_for(measure, mail, variant)), ())
        tag = (wanted or "").replace("_", "-").lower()
        for locale in there:
            if locale.lower() == tag:
                return locale
        language = tag.partition("-")[0]
        for locale in there:
            if locale.lower().partition("-")[0] == language:
                return locale
        return self.imprint.default_locale

    def template(self, measure: str, mail: str, variant: str, locale: str) -> Template:
        """Return the compiled mail; a variant without files is the plain mail.

        Raises TemplateFault when a file is missing or does not compile.
        """
        key = (measure, mail, self.variant_for(measure, mail, variant), locale)
        found = self._templates.get(key)
        if found is None:
            found = self._templates[key] = self._compile(*key)
        return found

    def watched(self, template: Template) -> dict[str, jinja2.Template]:
        """Return subject, preheader, markup and text, compiled to be run with watched values."""
        found = self._watched.get(template.path)
        if found is None:
            markup, plain = self._watching
            found = self._watched[template.path] = {
                name: self._made(markup if name == "markup" else plain, path, text)
                for name, (path, text) in template.sources.items()
            }
        return found

    @cached_property
    def _watching(self) -> tuple[Sandbox, Sandbox]:
        """Return the environments for watched values: MJML, and plain text."""
        return (
            WatchingSandbox(loader(self.files, part="mjml"), markup=True),
            WatchingSandbox(loader(self.files, part="txt"), markup=False),
        )

    def strings(self, locale: str) -> Names:
        """Return the frame's words in a locale, in the default one where there are none."""
        words = self._strings.get(locale)
        if words is None:
            path = f"{LAYOUT}/strings.{locale}.yaml"
            if path not in self.files:
                path = f"{LAYOUT}/strings.{self.imprint.default_locale}.yaml"
            given = read_yaml(path, self.files[path]) if path in self.files else {}
            words = self._strings[locale] = Names("strings", given)
        return words

    def chosen(self, measure: str, mail: str, variant: str, wanted: str | None) -> tuple[str, str, Template]:
        """Return the variant and the locale that somebody gets, and their template; raises as `template` does.

        wanted: the locale that the person would like.
        """
        key = (measure, mail, variant, wanted)
        found = self._chosen.get(key)
        if found is None:
            if len(self._chosen) >= CHOSEN_MAX:
                # Locales are what devices report: anything.
                self._chosen.clear()
            real = self.variant_for(measure, mail, variant)
            locale = self.locale_for(measure, mail, real, wanted)
            found = self._chosen[key] = (real, locale, self.template(measure, mail, real, locale))
        return found

    def expression(self, path: str, text: str) -> Expression:
        """Return a short text template that stands in another file. Raises TemplateFault when it does not compile."""
        key = (path, text)
        found = self._expressions.get(key)
        if found is None:
            template = self._made(self.plain, path, text)
            reads, fixed = (
                reads_of(self.anatomy(self.plain, path, text).needs),
                is_fixed(self.plain.parse(text)),
            )
            found = self._expressions[key] = Expression(template, reads, fixed)
        return found

    def anatomy(self, env: Sandbox, path: str, text: str) -> Anatomy:
        """Return what a source is made of. Raises TemplateFault when it does not parse or breaks a rule."""
        key = (path, text)
        found = self._anatomies.get(key)
        if found is None:
            if len(text) > SOURCE_LENGTH_MAX:
                raise _fault(path, 1, f"{len(text)} characters", f"a mail has at most {SOURCE_LENGTH_MAX}")
            try:
                found = anatomy(env.parse(text, name=path, filename=path))
            except jinja2.TemplateSyntaxError as error:
                raise _syntax(path, error) from error
            for breach in found.breaches:
                raise _fault(path, breach.line, breach.what, breach.change)
            self._anatomies[key] = found
        return found

    # ---- compiling -------------------------------------------------------------------------------------

    def _compile(self, measure: str, mail: str, variant: str, locale: str) -> Template:
        path = path_of(measure, mail, variant, locale, "mjml")
        text_path = path_of(measure, mail, variant, locale, "txt")
        source = read_source(path, self._file(path))
        text = self._file(text_path)
        parts = [
            *self.family(self.plain, path, source.subject),
            *self.family(self.plain, path, source.preheader),
            *self.family(self.markup, path, source.body),
            *self.family(self.plain, text_path, text),
        ]
        link = self.imprint.links.get(measure, "")
        return Template(
            path=path,
            locale=locale,
            subject=self._made(self.plain, path, source.subject),
            preheader=self._made(self.plain, path, source.preheader),
            markup=self._made(self.markup, path, source.body),
            text=self._made(self.plain, text_path, text),
            reads=reads_of(frozenset().union(*(part.needs for _, _, part in parts))),
            fixed=self._fixed(source, parts, locale),
            sources={
                "subject": (path, source.subject),
                "preheader": (path, source.preheader),
                "markup": (path, source.body),
                "text": (text_path, text),
            },
            ways=Ways(),
            digest=self._digest(locale, link, [given for _, given, _ in parts]),
        )

    def _file(self, path: str) -> str:
        if path not in self.files:
            raise _fault(path, 1, "the file is missing", "add it, or take its mail out of the measure")
        return self.files[path]

    def family(self, env: Sandbox, path: str, text: str) -> list[tuple[str, str, Anatomy]]:
        """Return (path, text, anatomy) of a source and of every layout it comes to name."""
        part = "mjml" if env is self.markup else "txt"
        waiting, seen, family = [(path, text)], set[str](), list[tuple[str, str, Anatomy]]()
        while waiting:
            here, source = waiting.pop()
            found = self.anatomy(env, here, source)
            family.append((here, source, found))
            for name in sorted(found.references):
                layout = layout_path(self.files, name, part=part)
                if layout is None:
                    raise _fault(
                        here, 1, f"no layout `{name}`", f"add {LAYOUT}/{name}.{part}, or name another"
                    )
                if layout not in seen:
                    seen.add(layout)
                    waiting.append((layout, self.files[layout]))
        return family

    def _made(self, env: Sandbox, path: str, text: str) -> jinja2.Template:
        try:
            code = env.compile(text, path, path)
        except jinja2.TemplateSyntaxError as error:
            raise _syntax(path, error) from error
        return jinja2.Template.from_code(env, code, env.make_globals(None))

    def _fixed(
        self, source: Source, parts: list[tuple[str, str, Anatomy]], locale: str
    ) -> frozenset[str] | None:
        if any(part.is_introspective for _, _, part in parts):
            return None
        known: set[str] = {locale, source.subject.strip(), source.preheader.strip()}
        for values in (self.brand, self.strings(locale)):
            known.update(value for value in values.values() if isinstance(value, str))
        for _, _, part in parts:
            known |= part.literals
        return frozenset(known | {str(escape(text)) for text in known})

    def _digest(self, locale: str, link: str, sources: list[str]) -> str:
        whole = [locale, link, sources, self.brand, self.strings(locale)]
        text = json.dumps(whole, ensure_ascii=False, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def names_for(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with each mapping named after itself, so that what is missing in it can be named."""
    return {name: Names(name, value) if isinstance(value, dict) else value for name, value in values.items()}


def _fault(path: str, line: int, what: str, change: str) -> TemplateFault:
    return TemplateFault(TemplateProblem(path, line, what, change))


def _syntax(path: str, error: jinja2.TemplateSyntaxError) -> TemplateFault:
    # An error inside a layout that was read on the way names the layout.
    where = error.filename or path
    what = (error.message or "does not compile").rstrip(".")
    return _fault(where, error.lineno, what, "see docs/delivery.md, Templates")
