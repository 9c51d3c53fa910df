"""Text for people: without what a terminal would obey, and times as they are said."""

from datetime import UTC, datetime


def printable(text: str) -> str:
    """One line, with every control character escaped: a name or message from outside can't move the cursor, colour
    the screen or begin a line that looks like another."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def utc(seconds: float) -> str:
    """Epoch seconds as RFC 3339, to the second: `2026-01-01T00:01:00Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """The two largest units: `2d 03h`, `5h 07m`, `12m 30s`, `4s`."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}h"
    if hours:
        return f"{hours}h {minute:02}m"
    if minutes:
        return f"{minutes}m {second:02}s"
    return f"{second}s"
