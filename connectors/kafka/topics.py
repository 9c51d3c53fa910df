"""Topic names: the template of the configuration, and what Kafka allows."""

import re
from collections.abc import Mapping
from string import Formatter

PLACEHOLDERS = ("table", "account", "region", "pipeline")

MAX_LENGTH = 249
"""Apache Kafka, `org.apache.kafka.common.internals.Topic`: the name becomes part of a directory's name."""

_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")
_LONGEST = {"account": "0" * 12, "region": "r" * 14}
"""What is not known before a stream is read; 14 characters is `ap-northeast-1`, the longest kind of region name."""


def check_template(template: str) -> str:
    """The template itself.

    Raises:
        ValueError: it has a placeholder that does not exist, or a character that no topic may have.
    """
    allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError(f"a brace without its partner; placeholders are {allowed}") from None
    for literal, field, spec, conversion in parts:
        if field is not None and (field not in PLACEHOLDERS or spec or conversion):
            raise ValueError(f"unknown placeholder {{{field}}}; allowed are {allowed}")
        if literal and not _LEGAL.fullmatch(literal):
            raise ValueError(f"a topic name is made of [a-zA-Z0-9._-] and the placeholders {allowed}")
    if not parts:
        raise ValueError(f"an empty topic name; placeholders are {allowed}")
    return template


def topic_name(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders filled.

    Raises:
        ValueError: the result is no name that Kafka takes.
    """
    name = template.format_map(values)
    if name in {".", ".."} or not _LEGAL.fullmatch(name):
        raise ValueError(f"{name!r} is not a topic name: [a-zA-Z0-9._-], and neither '.' nor '..'")
    if len(name) > MAX_LENGTH:
        raise ValueError(f"the topic name {name!r} has {len(name)} characters; Kafka allows {MAX_LENGTH}")
    return name


def longest_name(template: str, *, table: str, pipeline: str) -> str:
    """A name as long as this table's topic can become.

    Raises:
        ValueError: as `topic_name`.
    """
    return topic_name(template, {"table": table, "pipeline": pipeline, **_LONGEST})


def fields_of(template: str) -> frozenset[str]:
    """The placeholders that the template has."""
    return frozenset(field for _, field, _, _ in Formatter().parse(template) if field is not None)


def name_pattern(template: str, *, table: str, pipeline: str) -> re.Pattern[str]:
    """What this table's topic looks like while account and region are not known."""
    known = {"table": re.escape(table), "pipeline": re.escape(pipeline)}
    text = "".join(
        re.escape(literal) + ("" if field is None else known.get(field, "[a-z0-9-]+"))
        for literal, field, _, _ in Formatter().parse(template)
    )
    return re.compile(text)
