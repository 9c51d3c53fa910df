"""The parts of a pipeline on this machine: folders, the state, the admin server's port."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from cdc.config import Config, DynamoDBStateConfig, FilesRegistryConfig, SqliteStateConfig
from cdc.connector import Estimate, Note, Seen, Statement, arn_start
from cdc.core.remembrance import Judgement
from cdc.errors import CdcError, ConfigError, SourceError
from cdc.observe.admin import listen
from cdc.ports import Clock, Owner, Saved, StateStore
from cdc.process import is_dead
from cdc.runtime.assembly import (
    dead_letters_of,
    judgement_by_streams,
    judgement_of,
    known_subjects,
    source_of,
    state_of,
    uncounted,
)
from cdc.runtime.registry import confluent_of, registry_of, remembered_registry, unlearnt
from connectors.state_dynamodb.permissions import READS, permissions


def state_permissions(config: Config) -> Sequence[Statement]:
    """What a run asks of AWS for the state store."""
    match config.state:
        case DynamoDBStateConfig() as at_aws:
            return permissions(table_arn=_table_arn(at_aws), create=at_aws.create)
        case _:
            return ()


def _table_arn(at_aws: DynamoDBStateConfig) -> str:
    return f"{arn_start(at_aws, 'dynamodb')}table/{at_aws.table}"


def registry(config: Config) -> Sequence[str]:
    settings = config.schema_.registry
    if isinstance(settings, FilesRegistryConfig):
        return _folder(settings.path)
    return confluent_of(settings, uncounted).probe(known_subjects(config))


@runtime_checkable
class Looks(Protocol):
    """A state store that has more to say to a check than what is saved."""

    def look(self, now: float) -> Sequence[str]:
        """What it sees with calls that change nothing. `now`: epoch seconds by this host's clock."""
        ...


def state(config: Config, clock: Clock) -> Sequence[Seen]:
    match config.state:
        case DynamoDBStateConfig() as at_aws:
            return _state_at_aws(config, clock, at_aws)
        case SqliteStateConfig(path=path):
            return [*_folder(path.parent), *_state(config, clock, state_of(config, read_only=True))]


def _state_at_aws(config: Config, clock: Clock, at_aws: DynamoDBStateConfig) -> Sequence[Seen]:
    from cdc.aws_probe import Calls  # and with it botocore, which a state in a file does without

    calls = Calls("dynamodb")
    calls.about(dict.fromkeys(READS, _table_arn(at_aws)))
    store = state_of(config, read_only=True, count_call=calls.counting(uncounted))
    seen: list[Seen] = []
    try:
        seen += _state(config, clock, store)
    except CdcError as error:
        calls.refused(error)
        seen.append(error)
    renewals = 60 / (at_aws.lease_seconds / 3)
    saves = 60 / at_aws.checkpoint_seconds
    return [
        *seen,
        *calls.seen,
        Estimate(
            "write requests",
            renewals,
            renewals + 2 * saves,
            "minute",
            f"the lease every {at_aws.lease_seconds / 3:g} s; while changes come a page and the root "
            f"every {at_aws.checkpoint_seconds:g} s, each a write unit per KB",
        ),
    ]


def _state(config: Config, clock: Clock, store: StateStore) -> Iterator[Seen]:
    try:
        store.open()
        if isinstance(store, Looks):
            yield from store.look(clock.now().wall)
        owner = store.owner()
        saved = store.load()
    finally:
        store.close()
    config.check_remembered(saved.settings or {})
    registry = registry_of(config, unlearnt, uncounted)
    remembered_registry(config, registry, saved.settings or {}, create=False)
    if owner is not None:
        yield f"last owner: process {owner.pid} on {owner.host}"
    judgement = _judged(config, saved, clock)
    if judgement.exit_code:
        raise ConfigError(judgement.message, remedy=judgement.remedy)
    if judgement.message:
        yield Note(judgement.message, "warning", judgement.remedy)
    yield f"{len(saved.cursors)} positions saved"


def _judged(config: Config, saved: Saved, clock: Clock) -> Judgement:
    """As the next run does. What is wrong with the source is found by its own check."""
    source = None
    try:
        source = source_of(config, clock, uncounted)
        return judgement_by_streams(config, saved, clock, source)
    except SourceError:
        return judgement_of(config, saved, clock)
    finally:
        if source is not None:
            source.close()


def dead_letters(config: Config) -> Sequence[str]:
    seen = list(_folder(config.dead_letters.path))
    letters = dead_letters_of(config, read_only=True)
    letters.open()
    try:
        return [*seen, f"{sum(letters.count().values())} open dead letters"]
    finally:
        letters.close()


def admin(config: Config) -> Sequence[str]:
    """
    Raises:
        CdcError: `CONFIGURATION`: the admin server could not listen.
    """
    if config.admin is None:
        return ["no admin server"]
    host, port = config.admin.host, config.admin.port
    if port == 0:
        return [f"{host}, at any free port"]
    try:
        listen(host, port).close()
    except CdcError:
        owner = _living_owner(config)
        if owner is None or owner.admin.rpartition(":")[2] != str(port):
            raise
        return [f"{host}:{port}: process {owner.pid}, which runs this pipeline, listens there"]
    return [f"{host}:{port} is free"]


def _living_owner(config: Config) -> Owner | None:
    store = state_of(config, read_only=True)
    try:
        store.open()
        try:
            owner = store.owner()
        finally:
            store.close()
    except CdcError:
        return None  # said of the state already
    return None if owner is None or is_dead(owner) else owner


def _folder(path: Path) -> Sequence[str]:
    """The folder, or the nearest above it that exists, is one that this process may write to."""
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ConfigError(f"{path}: {nearest} is not a folder", remedy="name another path")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{path}: may not write to {nearest}", remedy="give this user the right to write there"
        )
    return [f"{path} " + ("exists" if nearest == path else f"will be made in {nearest}")]
