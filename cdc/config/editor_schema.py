"""The JSON Schema of the configuration, for editors: with it they complete keys and show what is wrong."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, Field, create_model

from cdc.config.installed import Connectors, installed
from cdc.config.model import STATES, Config
from cdc.connector import AnySinkConnector, AnySourceConnector

Schema = dict[str, Any]

_VARIABLE = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "From the environment: ${NAME} or ${NAME:-default}.",
}
_ANNOTATIONS = ("title", "description", "default")
_LIMITS = ("pattern", "minLength", "maxLength")

C = TypeVar("C", AnySinkConnector, AnySourceConnector)


def json_schema(connectors: Connectors | None = None) -> Schema:
    """JSON Schema (draft 2020-12) of the file. Imports all connectors.

    Args:
        connectors: what `type` can be; None: the installed ones.

    Raises:
        ConfigError: a connector cannot be imported.
    """
    schema = plain_schema(connectors or installed())
    for part in (schema, *schema["$defs"].values()):
        for key, value in part.get("properties", {}).items():
            if key != "type":
                part["properties"][key] = _or_variable(value)
    schema["$defs"]["variable"] = _VARIABLE
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def plain_schema(connectors: Connectors) -> Schema:
    """As `json_schema`, for values that are written out: without variables."""
    sources = _models(connectors.sources, "source")
    sinks = _models(connectors.sinks, "sink")
    states = [_named(name, "state", model) for name, model in STATES.items()]
    model = create_model(
        "Configuration",
        __base__=Config,
        source=(_union(sources), _described("source")),
        sinks=(_tuple_of(_union(sinks)), _described("sinks")),
        state=(_union(states), _described("state")),
    )
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.setdefault("$defs", {})
    schema["title"] = "dynamodb-cdc configuration"
    schema["description"] = Config.__doc__
    for kind, models in (("source", sources), ("sink", sinks), ("state", states)):
        for each in models:
            _type_first(definitions[each.__name__], kind)
    for part in (schema, *definitions.values()):
        for value in part.get("properties", {}).values():
            value.pop("title", None)  # the key in other letters
            if "description" in value:
                value["description"] = " ".join(value["description"].split())
            if value.get("const") == "null":
                value["enum"] = [value.pop("const")]
            if "null" in value.get("enum", ()):
                value["enum"].append(None)  # what YAML makes of a null without quotes
                del value["type"]
    _drop_discriminators(schema)
    return schema


def _models(connectors: Mapping[str, Callable[[], C]], kind: str) -> list[type[BaseModel]]:
    return [_named(name, kind, load().config) for name, load in connectors.items()]


def _named(name: str, kind: str, config: type[BaseModel]) -> type[BaseModel]:
    """With a title that says which type this is, on a class of its own: the original stays as it is."""
    return create_model(f"{name}-{kind}", __base__=config, __doc__=config.__doc__)


def _union(models: list[type[BaseModel]]) -> Any:
    if len(models) == 1:
        return models[0]
    return Annotated[Union[tuple(models)], Field(discriminator="type")]  # noqa: UP007 - made at run time


def _tuple_of(item: Any) -> Any:
    return tuple[item, ...]


def _type_first(model: Schema, kind: str) -> None:
    properties = model["properties"]
    properties["type"].setdefault("description", f"Which {kind} this is.")
    model["properties"] = {key: properties[key] for key in sorted(properties, key=lambda key: key != "type")}


def _described(field: str) -> Any:
    return Config.model_fields[field]


def _drop_discriminators(schema: object) -> None:
    """OpenAPI's word; JSON Schema does not know it."""
    if isinstance(schema, dict):
        if "propertyName" in schema.get("discriminator", {}):
            del schema["discriminator"]
        for value in schema.values():
            _drop_discriminators(value)
    elif isinstance(schema, list):
        for value in schema:
            _drop_discriminators(value)


def _or_variable(schema: Schema) -> Schema:
    """Also takes a variable, where a variable would not be what is asked for."""
    if schema.get("type") == "array":
        return (
            {**schema, "items": _or_variable(schema["items"])}
            if "$ref" not in schema.get("items", {})
            else schema
        )
    if isinstance(schema.get("additionalProperties"), dict):
        return {**schema, "additionalProperties": _or_variable(schema["additionalProperties"])}
    if "anyOf" in schema:
        narrow = any(_is_narrow(option) for option in schema["anyOf"])
        return {**schema, "anyOf": [*schema["anyOf"], {"$ref": "#/$defs/variable"}]} if narrow else schema
    if not _is_narrow(schema):
        return schema
    outside = {key: schema[key] for key in _ANNOTATIONS if key in schema}
    inside = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    return {**outside, "anyOf": [inside, {"$ref": "#/$defs/variable"}]}


def _is_narrow(schema: Schema) -> bool:
    kind = schema.get("type")
    if kind in ("integer", "number", "boolean") or "const" in schema or "enum" in schema:
        return True
    return kind == "string" and any(limit in schema for limit in _LIMITS)
