"""Checks data against a model, and says in the words of a configuration file what Pydantic found."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cdc.config.document import Document
from cdc.config.later import later
from cdc.config.problems import Loc, did_you_mean, listed, shown, value_at

M = TypeVar("M", bound=BaseModel)

_MAPPING = "a mapping (key: value)"
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": _MAPPING,
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "model_type": _MAPPING,
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
    "union_tag_not_found": _MAPPING,
}
_NO_SUCH_TYPE = ("union_tag_invalid", "union_tag_not_found")


def validated(
    model: type[M], data: object, loc: Loc, document: Document, *, context: object = None, sink_type: str = ""
) -> M | None:
    """The model's instance, or None and the reasons in `document.problems`.

    Args:
        model: what the data should be.
        data: what stands at `loc`, or what has been made of it.
        loc: where it stands.
        document: the file.
        context: for the model's validators.
        sink_type: the type, if it is a sink.
    """
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    for detail in details:
        _add(detail, model, loc, document, sink_type)
    return None


def _add(
    detail: ErrorDetails, model: type[BaseModel], prefix: Loc, document: Document, sink_type: str
) -> None:
    problems = document.problems
    tagged = detail["loc"]
    loc: Loc = (*prefix, *_untagged(model, tagged))
    kind = detail["type"]
    if kind == "missing":
        field = _field(model, tagged)
        allowed = f"; allowed: {listed(choices)}" if (choices := _choices(field)) else ""
        problems.add(loc, f"this key is missing{allowed}", about_keys=True)
        return
    if kind == "extra_forbidden":
        if what := later(loc, sink_type, value_at(document.data, loc)):
            problems.not_in_this_version(loc, what)
            return
        keys = _keys(model, tagged[:-1])
        section = value_at(document.data, loc[:-1])
        unused = [key for key in keys if not (isinstance(section, Mapping) and key in section)]
        text = f"unknown key{did_you_mean(str(loc[-1]), unused)}; allowed: {listed(keys)}"
        problems.add(loc, text, about_keys=True)
        return
    # A loc may go on with the member of a union that was tried.
    while tagged and (*prefix, *_untagged(model, tagged)) not in problems.lines:
        tagged = tagged[:-1]
    inside: Loc = (*prefix, *_untagged(model, tagged))
    value = value_at(document.data, inside)
    choices = _choices(_field(model, tagged))
    if kind in _NO_SUCH_TYPE and isinstance(value, Mapping):
        choices = list(_by_tag(_field(model, tagged)))
        inside, value = (*inside, "type"), value.get("type")
    if what := later(inside, sink_type, value):
        problems.not_in_this_version(inside, what, listed(choices) if choices else "")
    else:
        problems.add(inside, _text(detail, value, choices, document))


def _text(detail: ErrorDetails, value: object, choices: list[object], document: Document) -> str:
    kind = detail["type"]
    if kind in ("value_error", "assertion_error"):
        return document.problems.without_environment(str(detail.get("ctx", {}).get("error", detail["msg"])))
    if choices:
        given = ""
        words = [choice for choice in choices if isinstance(choice, str)]
        if words and isinstance(value, str) and value not in document.problems.environment.values():
            given = f"not {shown(value)}{did_you_mean(value, words)}; "
        return f"{given}allowed: {listed(choices)}"
    if kind in _EXPECTED:
        hint = "; put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
        return f"should be {_EXPECTED[kind]}, and is {_kind_of(value)}{hint}"
    return detail["msg"].removeprefix("Input ")


def _kind_of(value: object) -> str:
    """What a value is, without showing it."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"


def _keys(model: type[BaseModel], tagged: Loc) -> list[str]:
    """The keys of the mapping at `tagged`."""
    inside = _walk(model, tagged)[2]
    return list(_fields(inside)) if inside is not None else []


def _field(model: type[BaseModel], tagged: Loc) -> FieldInfo | None:
    """The field at `tagged`, or whose list holds what is there."""
    return _walk(model, tagged)[1]


def _untagged(model: type[BaseModel], tagged: Loc) -> Loc:
    """Where it stands in the file: Pydantic names the type of a section that has several, after the section."""
    return _walk(model, tagged)[0]


def _walk(model: type[BaseModel], tagged: Loc) -> tuple[Loc, FieldInfo | None, type[BaseModel] | None]:
    """Where a loc of Pydantic leads to: the loc without types, the field, and the model of the mapping that is there."""
    loc: list[str | int] = []
    field: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for part in tagged:
        if field is not None and inside is None and part in (members := _by_tag(field)):
            inside = members[str(part)]
            continue
        loc.append(part)
        if isinstance(part, int):
            continue
        field = _fields(inside).get(part) if inside is not None else None
        inside = _inner_model(field.annotation) if field is not None and not _by_tag(field) else None
    return tuple(loc), field, inside


def _by_tag(field: FieldInfo | None) -> dict[str, type[BaseModel]]:
    """The models of a section that has several types, by type."""
    members = get_args(field.annotation) if field is not None else ()
    annotated = [get_args(member) for member in members]
    return {args[1].tag: args[0] for args in annotated if len(args) > 1 and isinstance(args[1], Tag)}


def _fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None


def _choices(field: FieldInfo | None) -> list[object]:
    """The values of a field that is a `Literal`; None stands for null and is left out."""
    return _literals(field.annotation) if field is not None else []


def _literals(annotation: Any) -> list[object]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    found = [_literals(argument) for argument in arguments]
    return [value for values in found for value in values] if all(found) else []
