r"""Answers with half a character in them.

A client that cuts a text in the middle of an emoji writes half of a UTF-16 pair, `"\ud83d"`; DynamoDB may store it and
give it back in the stream. Such an answer is JSON by its grammar (RFC 8259, 8.2, calls what readers make of it
unpredictable), and the decoder refuses it as a whole. One such item must not stop its shard: the other records are read
as ever, and this one keeps its text, which the sinks that cannot hold it refuse by itself.
"""

import re
from collections.abc import Mapping

import msgspec

from cdc.model import Answer, Change

_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|.)", re.DOTALL)
"""One escape of a JSON string, or a whole pair. Read from the beginning, so that `\\ud83d` is a backslash and letters."""
_LONE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_STAND_INS = range(0xE000, 0xF900)
"""The private use area: code points of no meaning."""

_ANSWER = msgspec.json.Decoder(Answer)


def decode(body: bytes) -> Answer | None:
    """The answer, its images as they came; None if it is not halves of pairs that make it undecodable.

    Raises:
        msgspec.DecodeError: as the decoder does, for what else is wrong.
    """
    halves = {escape for escape in _ESCAPE.findall(body) if _LONE.fullmatch(escape)}
    # Of the same length, and nowhere in the answer: what stands for a half can be told from all else.
    free = (text for code in _STAND_INS if (text := b"\\u%04x" % code) not in body)
    stand_ins = dict(zip(sorted(halves), free, strict=False))
    if not halves or len(stand_ins) < len(halves):
        return None
    answer = _ANSWER.decode(_ESCAPE.sub(lambda match: stand_ins.get(match[0], match[0]), body))
    originals = {stand_in: half for half, stand_in in stand_ins.items()}
    return msgspec.structs.replace(
        answer, records=[_restored(change, originals) for change in answer.records]
    )


def _restored(change: Change, originals: Mapping[bytes, bytes]) -> Change:
    images = change.dynamodb
    restored = msgspec.structs.replace(
        images,
        keys=_original(images.keys, originals),
        new_image=_original(images.new_image, originals),
        old_image=_original(images.old_image, originals),
    )
    return msgspec.structs.replace(change, dynamodb=restored)


def _original(raw: msgspec.Raw, originals: Mapping[bytes, bytes]) -> msgspec.Raw:
    text = bytes(raw)
    for stand_in, half in originals.items():
        text = text.replace(stand_in, half)
    return msgspec.Raw(text) if text != bytes(raw) else raw
