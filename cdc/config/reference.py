"""`python -m cdc.config.reference > docs/configuration.md`: the reference, made from the models."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cdc.config.editor_schema import Schema, plain_schema
from cdc.config.installed import Connectors, installed
from cdc.config.later import LATER

EXAMPLE = """\
version: 1
pipeline: orders
source:
  type: dynamodb-streams
  tables: [orders]
  region: ${AWS_REGION:-eu-west-1}
sinks:
  - name: bus
    type: kafka
    bootstrap_servers: localhost:9092
  - name: log
    type: console
"""

_HEAD = f"""\
# Configuration

Made from the models by `python -m cdc.config.reference`; change it there.

One YAML file describes one pipeline:

```yaml
{EXAMPLE}```

- Keys that are not listed here are errors. `cdc check CONFIG` says what is wrong, with file, line and key.
- `${{NAME}}` in a value is replaced by the environment variable, `${{NAME:-default}}` by the default if the variable is
  not set or empty; `$$` is a dollar sign. What stands in for a number or for `true` is read as such. A value without
  quotes that is empty afterwards counts as null. No message repeats what came from the environment.
- Relative paths are relative to the folder of the file.
- Words are read as in YAML 1.2: `no`, `on` and `12:30` are text; numbers that are meant as text need quotes. Anchors,
  aliases and `<<` work.
- Editors check and complete it with `schemas/config.schema.json` (also: `cdc schema config`). For those that use the
  YAML language server, this is the first line of the file:
  `# yaml-language-server: $schema=config.schema.json`
- A sink that has positions keeps its type, mode and envelope: changing them is refused; give it a new name instead.
"""


def reference(connectors: Connectors | None = None) -> str:
    """The text of `docs/configuration.md` (Markdown). Imports all connectors.

    Args:
        connectors: what `type` can be; None: the installed ones.
    """
    return "\n".join(_pages(plain_schema(connectors or installed())))


def _pages(schema: Schema) -> Iterator[str]:
    definitions = schema["$defs"]
    yield _HEAD
    yield "## The file\n"
    yield from _table(schema, definitions)
    for key, value in schema["properties"].items():
        if key == "state":
            yield from _typed(key, _options(value), definitions)
        elif key not in ("source", "sinks"):
            yield from _sections(key, value, definitions)
    yield from _typed("source", _options(schema["properties"]["source"]), definitions)
    yield "## `sinks`\n"
    yield f"{schema['properties']['sinks']['description']} A list; these are the types.\n"
    yield from _typed("sinks[]", _options(schema["properties"]["sinks"]["items"]), definitions)
    yield "## Not in this version\n"
    yield "These are known, and refused by name.\n"
    yield "| Key | Values |"
    yield "|---|---|"
    for path, values in LATER.items():
        yield _row(f"`{path}`", ", ".join(f"`{value}`" for value in values) or "any")


def _typed(key: str, options: Iterable[Schema], definitions: Schema) -> Iterator[str]:
    """A section for each type, and one for each section inside, once."""
    seen: set[str] = set()
    for option in options:
        model = _resolved(option, definitions)
        type_ = _words(model["properties"]["type"])
        yield f"## `{key}` of type {type_}\n"
        if "description" in model:
            yield model["description"] + "\n"
        yield from _table(model, definitions)
        for inner, value in model["properties"].items():
            reference_ = _model_reference(value)
            if reference_ is not None and reference_ not in seen:
                seen.add(reference_)
                yield from _sections(f"{key}.{inner}", value, definitions)


def _sections(key: str, schema: Schema, definitions: Schema) -> Iterator[str]:
    """The section of a key that holds a mapping, and those inside it; one for each type where there are several."""
    if "oneOf" in schema:
        yield from _typed(key, _options(schema), definitions)
        return
    reference_ = _model_reference(schema)
    if reference_ is None:
        return
    model = _resolved({"$ref": reference_}, definitions)
    yield f"## `{key}`\n"
    if "description" in model:
        yield model["description"] + "\n"
    yield from _table(model, definitions)
    for inner, value in model["properties"].items():
        yield from _sections(f"{key}.{inner}", value, definitions)


def _table(model: Schema, definitions: Schema) -> Iterator[str]:
    yield "| Key | Type | Default | Meaning |"
    yield "|---|---|---|---|"
    required = model.get("required", ())
    for key, value in model["properties"].items():
        meaning = value.get("description", "")
        if not meaning and (reference_ := _model_reference(value)) is not None:
            meaning = _resolved({"$ref": reference_}, definitions).get("description", "")
        yield _row(f"`{key}`", _words(value), _default(value, required=key in required), meaning)
    yield ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _default(value: Schema, *, required: bool) -> str:
    if required:
        return "required"
    if "default" not in value:
        return "empty"
    default = value["default"]
    if isinstance(default, dict):
        return "its defaults"
    return f"`{default}`" if isinstance(default, str) else json.dumps(default)


def _words(value: Schema) -> str:
    """The type of a value in words."""
    options = value.get("anyOf") or value.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_words(option) for option in options))
    if "$ref" in value:
        return "section"
    if "const" in value or "enum" in value:
        constants = value.get("enum") or [value["const"]]
        return ", ".join(f"`{constant}`" for constant in constants if constant is not None)
    return _type_in_words(value)


def _type_in_words(value: Schema) -> str:
    match value["type"]:
        case "array":
            items = value["items"]
            words = "list of " + ("sections" if "oneOf" in items or "$ref" in items else _words(items))
        case "object":
            words = f"mapping of text to {_words(value['additionalProperties'])}"
        case "integer":
            words = "whole number" + _bounds(value)
        case "string":
            words = _text(value)
        case "boolean":
            words = "`true`, `false`"
        case kind:
            words = str(kind) + _bounds(value)
    return words


def _text(value: Schema) -> str:
    if value.get("format") == "password":
        return "secret"
    kind = "path" if value.get("format") == "path" else "text"
    return f"{kind} like `{value['pattern']}`" if "pattern" in value else kind


def _bounds(value: Schema) -> str:
    signs = {"exclusiveMinimum": "> ", "minimum": "≥ ", "exclusiveMaximum": "< ", "maximum": "≤ "}
    return "".join(f", {sign}{value[bound]}" for bound, sign in signs.items() if bound in value)


def _options(value: Schema) -> list[Schema]:
    return list(value.get("oneOf") or value.get("anyOf") or [value])


def _model_reference(value: Schema) -> str | None:
    """The section that a value refers to, be it optional or not."""
    for option in value.get("anyOf") or value.get("oneOf") or [value]:
        if "$ref" in option:
            return str(option["$ref"])
    return None


def _resolved(value: Schema, definitions: Schema) -> Any:
    return definitions[value["$ref"].rsplit("/", 1)[1]]


if __name__ == "__main__":
    sys.stdout.write(reference())
