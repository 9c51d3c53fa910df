import pytest

from tests.unit.config.parts import RIGHT, BusConfig, Folder


def topic(folder: Folder, value: str, **environ: str) -> str:
    sink = folder.load(RIGHT + f"    topic: {value}\n", **environ).sinks[0]
    assert isinstance(sink, BusConfig)
    return sink.topic


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${NAME}", "value"),
        ("a-${NAME}.${OTHER}", "a-value.${NAME}"),
        ("${NONE:-default}", "default"),
        ("${NAME:-default}", "value"),
        ("${EMPTY:-default}", "default"),
        ("'${EMPTY}'", ""),
        ("'${NONE:-}'", ""),
        ("${NONE:-a:-b$c}", "a:-b$c"),
        ("$${NAME}", "${NAME}"),
        ("a$$b", "a$b"),
        ("$$$${NAME}", "$${NAME}"),
        ("$NAME $ {x} {table}", "$NAME $ {x} {table}"),
        ("'${DIGITS}'", "007"),
        ("${DIGITS}", "007"),
        ("${TRUE}", "true"),
    ],
)
def test_text(folder: Folder, value: str, expected: str) -> None:
    environ = {"NAME": "value", "OTHER": "${NAME}", "EMPTY": "", "DIGITS": "007", "TRUE": "true"}
    assert topic(folder, value, **environ) == expected


def test_numbers_and_truth(folder: Folder) -> None:
    config = folder.load(
        RIGHT + "    compress: ${YES}\n    limits: {per_second: '${N:-7}'}\nadmin: {port: '${PORT}'}\n",
        YES="true",
        PORT="0",
    )
    [sink] = config.sinks
    assert isinstance(sink, BusConfig)
    assert (sink.compress, sink.limits.per_second) == (True, 7)
    assert config.admin is not None
    assert config.admin.port == 0


def test_an_empty_value_without_quotes_is_null(folder: Folder) -> None:
    config = folder.load(RIGHT.replace("tables:", "region: ${REGION:-}\n  tables:"))
    assert config.source_with_connector()[0].region is None


@pytest.mark.parametrize("value", ["", "${X:-}"])
def test_nothing_is_not_the_null_sink(folder: Folder, value: str) -> None:
    """An unset variable does not throw changes away."""
    [problem] = folder.problems(RIGHT.replace("type: bus", f"type: {value}"))
    assert problem == "8: sinks[0].type: is no word; allowed: bus, null, broken"


def not_set(name: str) -> str:
    return f"the environment variable {name} is not set: set it, or give a default as in ${{{name}:-default}}"


def test_a_missing_variable(folder: Folder) -> None:
    problems = folder.problems(
        RIGHT + "    password: ${DB_PW}\n    topic: ${A}${B}${A}\nadmin: {port: '${P}'}\n"
    )
    assert problems == [
        f"9: sinks[0].password: {not_set('DB_PW')}",
        f"10: sinks[0].topic: {not_set('A')}; {not_set('B')}",
        f"11: admin.port: {not_set('P')}",
    ]


@pytest.mark.parametrize("value", ["${}", "${hunter2", "${1A}", "${A-b}", "${A:?b}", "${A B}", "${${A}}"])
def test_what_is_no_variable(folder: Folder, value: str) -> None:
    [problem] = folder.problems(RIGHT + f'    password: "{value}"\n', A="x")
    assert problem == (
        "9: sinks[0].password: cannot be read as a variable; allowed: ${NAME}, ${NAME:-default}, and $${ for the "
        "characters ${"
    )


@pytest.mark.parametrize(
    "key",
    [
        "format: ${S}",
        "limits: {per_second: '${S}'}",
        "compress: ${S}",
        "unknown: ${S}",
        "password: ['${S}']",
        "schema: ${S}",
        "schema: {mode: '${S}'}",
    ],
)
def test_no_message_shows_what_came_from_the_environment(folder: Folder, key: str) -> None:
    problems = folder.problems(RIGHT + f"    {key}\n", S="hunter2")
    assert "hunter2" not in "".join(problems)


def test_what_a_connector_says_is_shown_without_what_came_from_the_environment(folder: Folder) -> None:
    text = RIGHT.replace("type: bus", "type: ${T}")
    assert folder.problems(text, T="hunter2") == [
        "8: sinks[0].type: ${T} is not installed; allowed: bus, null, broken"
    ]
