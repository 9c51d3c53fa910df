"""Sinks of a third party, as an installed distribution brings them: `hanging`, `crashing` and `picky`."""

from pathlib import Path

_MODULE = '''
import os
import threading
from concurrent.futures import Future
from typing import Literal

from cdc.connector import SinkConfig, SinkConnector
from cdc.errors import ErrorKind, SinkError
from cdc.model import Durability
from cdc.ports import Receipt
from connectors.null import NullSink


class Hanging(SinkConfig):
    """Takes everything and never makes it durable."""

    type: Literal["hanging"]


class Crashing(SinkConfig):
    """Takes changes until one of them has the attribute `boom`; then does what `how` says."""

    type: Literal["crashing"]
    how: Literal["write", "durable", "open", "probe"]


class Picky(SinkConfig):
    """Refuses every batch with a change that has one of these attributes; notes the numbers of the others."""

    type: Literal["picky"]
    path: str
    refuses: tuple[str, ...] = ()


class PickySink(NullSink):
    def __init__(self, config):
        super().__init__(config.name)
        self.config = config

    def write(self, batch):
        changes = batch.batch.changes
        for attribute in self.config.refuses:
            if any(f'"{attribute}"'.encode() in bytes(change.dynamodb.new_image) for change in changes):
                receipt = Receipt(Future(), Future())
                error = SinkError(ErrorKind.REJECTED, "there is something in it")
                receipt.accepted.set_exception(error)
                receipt.durable.set_exception(error)
                return receipt
        with open(self.config.path, "a") as file:
            file.writelines(f"{change.sequence}\\n" for change in changes)
        return super().write(batch)


class HangingSink(NullSink):
    def write(self, batch):
        receipt = Receipt(Future(), Future())
        receipt.accepted.set_result(None)
        return receipt

    def flush(self, *, deadline):
        return Future()


class CrashingSink(NullSink):
    def __init__(self, config):
        super().__init__(config.name)
        self.how = config.how

    def open(self):
        if self.how == "open":
            raise KeyError(os.environ["PLANTED_SECRET"])

    def write(self, batch):
        images = [bytes(change.dynamodb.new_image) for change in batch.batch.changes]
        boom = [image for image in images if b'"boom"' in image]
        if boom and self.how == "write":
            explode(boom[0].decode())
        receipt = super().write(batch)
        if boom and self.how == "durable":
            receipt = Receipt(receipt.accepted, Future())
            receipt.durable.set_exception(KeyError(boom[0].decode(), batch))
        return receipt


def explode(item):
    try:
        raise ValueError("no room for " + item)
    except ValueError as error:
        error.add_note(item)
        raise KeyError(item) from error


def probe(config, context):
    if config.how == "probe":
        raise KeyError(os.environ["PLANTED_SECRET"])
    return []


HANGING = SinkConnector(Hanging, lambda config, context: HangingSink(config.name), lambda config, context: [], None)
PICKY = SinkConnector(Picky, lambda config, context: PickySink(config), lambda config, context: [], None)
CRASHING = SinkConnector(Crashing, lambda config, context: CrashingSink(config), probe, None)
'''

_ENTRY_POINTS = """\
[cdc.sinks]
picky = third_party_sinks:PICKY
hanging = third_party_sinks:HANGING
crashing = third_party_sinks:CRASHING
"""


def install(folder: Path) -> dict[str, str]:
    """Puts the distribution into `folder`; the environment in which it is installed."""
    metadata = folder / "third_party_sinks-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party-sinks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_ENTRY_POINTS)
    (folder / "third_party_sinks.py").write_text(_MODULE)
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
