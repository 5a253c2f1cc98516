"""Write entities and labels that stand in old forms as they are written today."""

from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from nurture.playbook.upgrade.yaml_text import (
    INDENT,
    Pair,
    YamlText,
    put_first,
    put_last,
    replaced,
    shifted,
    take_entry,
    to_block,
)


def move_entity(text: str, *, name: str) -> str:
    """Return the text of `playbook.yaml` with an entity under `entities` instead of `facts`."""
    text = to_block(to_block(text, []), ["facts"])
    key = YamlText(text).pair("facts", name, "entity").key
    text = replaced(text, key.start_mark.index, key.end_mark.index, "key")
    text, lines = take_entry(text, ["facts", name])
    return put_first(text, "entities", lines)


def personas_to_label(text: str) -> str:
    """Return the text of `playbook.yaml` with the fact `persona`, a label, instead of `personas`."""
    text = to_block(to_block(text, []), ["personas"])
    for name in [key.value for key, _ in YamlText(text).value("personas").value]:
        text = _as_list(text, YamlText(text).pair("personas", name))
    text, lines = take_entry(text, ["personas"])
    start = next(place for place, line in enumerate(lines) if not line.lstrip().startswith("#"))
    head = lines[start]
    label = "label" + head[head.index(":") :]
    lines = [*lines[:start], "persona:", *shifted([label, *lines[start + 1 :]], INDENT)]
    return put_last(text, "facts", lines)


def _as_list(text: str, pair: Pair) -> str:
    """Return the text with a value that is one matcher as a list of one."""
    value, yaml = pair.value, YamlText(text)
    if isinstance(value, SequenceNode):
        return text
    start, end = value.start_mark.index, yaml.end(value)
    if isinstance(value, MappingNode) and not value.flow_style:
        return _as_item(text, value)
    inner = yaml.flow(value) if isinstance(value, ScalarNode) else text[start:end]
    return replaced(text, start, end, f"[{inner}]")


def _as_item(text: str, value: MappingNode) -> str:
    """Return the text with a mapping that is written as lines as the entry of a list."""
    yaml = YamlText(text)
    first, last = value.start_mark.line, yaml.line_of(yaml.end(value))
    lines = shifted(yaml.lines[first : last + 1], INDENT)
    column = value.start_mark.column
    lines[0] = " " * column + "- " + lines[0].lstrip(" ")
    return "\n".join([*yaml.lines[:first], *lines, *yaml.lines[last + 1 :]])
