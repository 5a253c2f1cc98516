"""Compile each template once a session: every world loads the programme anew, and most load the same files."""

from typing import Any, Final

from nurture.rendering.sandbox import Sandbox

#: The shipped mails and those that tests write, in both kinds of escaping.
_KEPT_MAX: Final = 5_000


def share_compiled_templates() -> None:
    """Let all sandboxes of one kind that this process makes share what they compiled; safe to repeat.

    Code never changes, and sandboxes of one kind have the same filters and settings but for the escaping.
    """
    compile_ = Sandbox.compile
    if hasattr(compile_, "keeps"):
        return
    kept: dict[object, Any] = {}

    def compile_once(env: Sandbox, source: Any, *given: Any, **named: Any) -> Any:
        key = (type(env), env.autoescape, source, given, tuple(sorted(named.items())))
        if not isinstance(source, str) or callable(env.autoescape):
            return compile_(env, source, *given, **named)
        if key not in kept and len(kept) < _KEPT_MAX:
            kept[key] = compile_(env, source, *given, **named)
        return kept[key] if key in kept else compile_(env, source, *given, **named)

    compile_once.keeps = True  # type: ignore[attr-defined]
    Sandbox.compile = compile_once  # type: ignore[method-assign,assignment]
