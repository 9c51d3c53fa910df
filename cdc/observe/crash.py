"""How an exception is written: where it happened and what it was, never what it says.

The message of an exception that is not this project's own may hold an item's value (`KeyError('secret')`, a validation
error, an answer of AWS), so it is left out, and so are local variables and notes. What stays is the whole chain: types,
files, lines, functions and their source. `CdcError` promises that its message holds no values, and is written in full.
"""

import errno
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType

from cdc.errors import CdcError

_MOST_FRAMES = 60
"""Of one traceback, the innermost: enough for any stack that is not a runaway recursion."""
_MOST_EXCEPTIONS = 30
"""Of one chain, the latest."""

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def crash_report(exc: BaseException) -> str:
    """A traceback as Python prints it, the earliest exception of the chain first, without foreign messages."""
    return "".join(_chain(exc)).rstrip("\n")


def describe(exc: BaseException) -> str:
    """One line: the type, and what is safe to say of it (`CdcError`'s kind and message, the name of an `errno`)."""
    kind = type(exc)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(exc, CdcError):
        remedy = f" ({exc.remedy})" if exc.remedy else ""
        return f"{name}: [{exc.kind.value}] {exc.message}{remedy}"
    if isinstance(exc, OSError) and exc.errno is not None and exc.errno in errno.errorcode:
        return f"{name} [{errno.errorcode[exc.errno]}]"
    return name


def install_crash_hooks() -> None:
    """From here on an exception that nobody catches, in any thread, is written by `crash_report`.

    It goes through the log where `cdc.observe.log.configure` has set it up, else to standard error as it is.
    """
    sys.excepthook = _on_crash
    threading.excepthook = _on_thread_crash
    sys.unraisablehook = _on_unraisable


def _chain(last: BaseException) -> Iterator[str]:
    links: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    current: BaseException | None = last
    while current is not None and id(current) not in seen and len(links) < _MOST_EXCEPTIONS:
        seen.add(id(current))
        if current.__cause__ is not None:
            links.append((current, _CAUSE))
            current = current.__cause__
        else:
            links.append((current, _CONTEXT))
            current = None if current.__suppress_context__ else current.__context__
    for number, (exc, joint) in enumerate(reversed(links)):
        if number:
            yield joint
        yield from _one(exc)


def _one(exc: BaseException) -> Iterator[str]:
    if exc.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        stack = traceback.StackSummary.extract(
            traceback.walk_tb(exc.__traceback__), limit=-_MOST_FRAMES, capture_locals=False
        )
        yield from stack.format()
    yield describe(exc) + "\n"
    if isinstance(exc, BaseExceptionGroup):
        for number, member in enumerate(exc.exceptions[:_MOST_EXCEPTIONS], 1):
            yield f"  member {number} of {len(exc.exceptions)}:\n"
            for text in _chain(member):
                yield "".join(f"    {line}" for line in text.splitlines(keepends=True))


def _on_crash(_kind: type[BaseException], exc: BaseException, _trace: TracebackType | None) -> None:
    _write("crashed", exc, {})


def _on_thread_crash(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _write("thread crashed", args.exc_value, {"thread": args.thread.name if args.thread else ""})


def _on_unraisable(args: "sys.UnraisableHookArgs") -> None:
    # Python's own text shows the object, and an object's repr may show its values.
    where = getattr(args.object, "__qualname__", None) or type(args.object).__qualname__
    if args.exc_value is not None:
        _write("exception ignored", args.exc_value, {"where": str(where)})


def _write(event: str, exc: BaseException, fields: dict[str, str]) -> None:
    """Never raises: what a hook raises is printed by Python, with the messages of the whole chain."""
    try:
        report = crash_report(exc)
        if any(getattr(handler, "writes_crashes", False) for handler in logging.getLogger().handlers):
            logging.getLogger("cdc").critical(event, extra={"crash": {**fields, "exception": report}})
        else:
            said = "".join(f" {name}={value}" for name, value in fields.items())
            sys.stderr.write(f"{event}{said}\n{report}\n")
    except Exception as failure:  # noqa: BLE001 - see above
        _last_words(f"{event}: {type(exc).__qualname__}, not reported: {type(failure).__qualname__}\n")


def _last_words(text: str) -> None:
    try:
        sys.stderr.write(text)
    except (OSError, ValueError, AttributeError):
        # Standard error is closed, or there is none: nobody is left to tell.
        return
