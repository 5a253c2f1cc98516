"""Find MJML that MRML drops without an error, fonts that it loads from elsewhere, pictures without a text."""

import re
from collections.abc import Iterator
from typing import Final

from nurture.rendering.errors import TemplateProblem

_JINJA: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<!--.*?-->", re.DOTALL)
_TAG: Final = re.compile(r"<(mj[a-z-]*)((?:\s+[a-zA-Z-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')|\s+)*)", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"([a-zA-Z-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")

_PICTURE: Final = re.compile(r"<img\b[^<>]*>", re.IGNORECASE)
_ALT: Final = re.compile(r"\balt\s*=", re.IGNORECASE)
# MRML adds `@import url(https://fonts.googleapis.com/...)` to a mail that names one of them, so Google learns of it.
_LOADED_FONT: Final = re.compile(
    r"font-family[^;<>]{0,300}?\b(Droid Sans|Lato|Open Sans|Roboto|Ubuntu)\b", re.IGNORECASE
)

# The components of MJML 4, without their `mj-`, and the attributes of all of them.
_COMPONENT_NAMES: Final = """
    accordion accordion-element accordion-text accordion-title all attributes body breakpoint button carousel
    carousel-image class column divider font group head hero image navbar navbar-link preview raw section social
    social-element spacer style table text title wrapper
"""
_ATTRIBUTE_NAMES: Final = """
    align alt aria-label background background-color background-height background-position background-position-x
    background-position-y background-repeat background-size background-url background-width border border-bottom
    border-color border-left border-radius border-right border-style border-top border-width cellpadding cellspacing
    color container-background-color css-class dir direction fluid-on-mobile font-family font-size font-style
    font-weight full-width hamburger height href href-target ico-align ico-close ico-color ico-font-family
    ico-font-size ico-line-height ico-open ico-padding ico-padding-bottom ico-padding-left ico-padding-right
    ico-padding-top ico-text-decoration ico-text-transform icon-align icon-height icon-padding icon-position icon-size
    icon-unwrapped-alt icon-unwrapped-url icon-width icon-wrapped-alt icon-wrapped-url id inline
    inner-background-color inner-border inner-border-bottom inner-border-left inner-border-radius inner-border-right
    inner-border-top inner-padding lang left-icon letter-spacing line-height max-width mj-class mode name owa padding
    padding-bottom padding-left padding-right padding-top rel right-icon role sizes src srcset table-layout target
    tb-border tb-border-radius tb-hover-border-color tb-selected-border-color tb-width text-align text-decoration
    text-padding text-transform thumbnails thumbnails-src title usemap vertical-align width
"""
_COMPONENTS: Final = frozenset({"mjml", *(f"mj-{name}" for name in _COMPONENT_NAMES.split())})
_ATTRIBUTES: Final = frozenset(_ATTRIBUTE_NAMES.split())


def find_bad_markup(path: str, source: str) -> Iterator[TemplateProblem]:
    """Yield a problem for everything in one MJML source that MRML would ignore, or that readers would miss."""
    # Line numbers stay right when a Jinja statement is replaced by its line ends.
    mjml = _JINJA.sub(lambda statement: "\n" * statement[0].count("\n"), source)
    yield from _dropped(path, mjml)
    for picture in _PICTURE.finditer(mjml):
        if not _ALT.search(picture[0]):
            yield _without_alternative(path, mjml, picture)
    for font in _LOADED_FONT.finditer(mjml):
        line = mjml.count("\n", 0, font.end()) + 1
        what = f"the font {font[1]} makes the mail load it from fonts.googleapis.com"
        yield TemplateProblem(path, line, what, "name fonts that readers have, for example Helvetica, Arial")


def _without_alternative(path: str, mjml: str, picture: re.Match[str]) -> TemplateProblem:
    line = mjml.count("\n", 0, picture.start()) + 1
    change = 'write alt="..." with what is seen; alt="" where the same words stand beside it'
    return TemplateProblem(path, line, "a picture without an alternative text", change)


def _dropped(path: str, mjml: str) -> Iterator[TemplateProblem]:
    for tag in _TAG.finditer(mjml):
        line = mjml.count("\n", 0, tag.start()) + 1
        name = tag[1]
        if name == "mj-include":
            yield TemplateProblem(
                path, line, "<mj-include> is not followed", 'write {% include "..." %} instead'
            )
        elif name not in _COMPONENTS:
            yield TemplateProblem(path, line, f"no component <{name}>", "it would vanish; see MJML's list")
        attributes = _ATTRIBUTE.findall(tag[2])
        if name == "mj-image" and "src" in attributes and "alt" not in attributes:
            yield _without_alternative(path, mjml, tag)
        for attribute in attributes:
            if attribute not in _ATTRIBUTES:
                change = "it would vanish; see MJML's list"
                yield TemplateProblem(path, line, f"<{name}> with unknown attribute `{attribute}`", change)
