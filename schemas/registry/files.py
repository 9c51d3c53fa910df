"""The registry `files`: a folder with one `{id}.avsc` per schema, and `index.json`, which says what they are.

`index.json` is the truth: `{"version": 1, "registry": a random name, "subjects": {subject: [ids, oldest first]}}`. A schema's file is durable
before the index names it, so a crash between the two leaves a file that nobody was told of; its id is passed over.
"""

import contextlib
import errno
import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cdc.errors import ErrorKind, RegistryError
from cdc.model import RegisteredSchema
from schemas.registry.identity import same_json

FORMAT_VERSION = 1

_INDEX = "index.json"
_LOCK = ".lock"


class _Index(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    registry: str
    subjects: dict[str, list[int]]


class _Version(msgspec.Struct):
    version: int


class FilesRegistry:
    """Keeps schemas in a folder, which several processes of one machine may share.

    Args:
        path: the folder; made, with its parents, when the first schema is registered.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def identity(self, *, create: bool) -> str:
        """The random name of this registry, which no other folder has but a copy of this one: ids mean something in
        their own registry only. Empty if there is none yet and it is not to be made.

        Raises:
            RegistryError: as `register`.
        """
        with self._mapped_errors():
            if not create:
                return self._read_index().registry
            with self._locked():
                return self._read_index(create=True).registry

    def register(self, subject: str, schema: str) -> RegisteredSchema:
        """The same schema has the same id under every subject; white space does not make it another one.

        Raises:
            ValueError: `schema` is no JSON.
            RegistryError: `STATE_FORMAT` if the folder is damaged or a newer version wrote it, `ACCESS_DENIED`,
                `CONFIGURATION` if the path is no folder, `UNAVAILABLE` for a full or failing disk.
        """
        identity = same_json(schema)
        with self._mapped_errors(), self._locked():
            index = self._read_index(create=True)
            ids = index.subjects.setdefault(subject, [])
            known = {id_ for subject_ids in index.subjects.values() for id_ in subject_ids}
            for id_ in [*ids, *sorted(known - set(ids))]:
                text = self._read_schema(id_)
                if same_json(text) == identity:
                    break
            else:
                id_, text = self._next_id(), schema
                self._write(f"{id_}.avsc", text)
            if id_ not in ids:
                ids.append(id_)
                self._write(_INDEX, _index_text(index))
            return RegisteredSchema(id_, subject, text)

    def schema(self, id: int) -> RegisteredSchema:  # noqa: A002 - the port's own word
        """A schema that has several subjects is given with the first of them.

        Raises:
            RegistryError: `NOT_FOUND`; and as `register`.
        """
        with self._mapped_errors():
            index = self._read_index()
            for subject, ids in index.subjects.items():
                if id in ids:
                    return RegisteredSchema(id, subject, self._read_schema(id))
        raise RegistryError(
            ErrorKind.NOT_FOUND,
            f"{self._path}: no schema has the id {id}",
            remedy="use the folder with which the data was written",
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time, threads included: each has the lock's file open for itself. A crash gives the lock back."""
        self._path.mkdir(parents=True, exist_ok=True)
        with (self._path / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read_index(self, *, create: bool = False) -> _Index:
        # Looked for before the index is: a first registration meanwhile is not taken for a lost index.
        schemas_exist = any(self._path.glob("*.avsc"))
        try:
            data = (self._path / _INDEX).read_bytes()
        except FileNotFoundError:
            if schemas_exist:
                raise self._damaged("is missing, although there are schemas") from None
            index = _Index(FORMAT_VERSION, uuid.uuid4().hex if create else "", {})
            if create:
                # From now on schemas without an index are damage, not a crash of the first registration.
                self._write(_INDEX, _index_text(index))
            return index
        try:
            version = msgspec.json.decode(data, type=_Version).version
            if version > FORMAT_VERSION:
                raise RegistryError(
                    ErrorKind.STATE_FORMAT,
                    f"{self._path / _INDEX} has format version {version}; this version reads {FORMAT_VERSION}",
                    remedy="use the newer version of dynamodb-cdc that wrote it",
                )
            index = msgspec.json.decode(data, type=_Index)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._damaged("is not readable") from None
        if version < 1 or any(id_ < 1 for ids in index.subjects.values() for id_ in ids):
            raise self._damaged("has a version or an id that was never given")
        return index

    def _read_schema(self, id_: int) -> str:
        name = f"{id_}.avsc"
        try:
            text = (self._path / name).read_text(encoding="utf-8")
            same_json(text)
        except FileNotFoundError:
            raise self._damaged("is missing, although the index names it", name) from None
        except ValueError:
            raise self._damaged("is not readable", name) from None
        return text

    def _next_id(self) -> int:
        return 1 + max(
            (int(file.stem) for file in self._path.glob("*.avsc") if file.stem.isdecimal()), default=0
        )

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all, and durable: also the folder's entry."""
        temporary = self._path / f"{name}.tmp"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path / name)
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _damaged(self, what: str, name: str = _INDEX) -> RegistryError:
        return RegistryError(
            ErrorKind.STATE_FORMAT,
            f"{self._path / name} {what}",
            remedy="restore the folder from a backup: data that was written with its ids cannot be read without it",
        )

    @contextlib.contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise RegistryError(ErrorKind.ACCESS_DENIED, f"{self._path}: {error.strerror}") from error
        except OSError as error:
            no_folder = error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
            kind = ErrorKind.CONFIGURATION if no_folder else ErrorKind.UNAVAILABLE
            raise RegistryError(kind, f"{self._path}: {error.strerror}") from error


def _index_text(index: _Index) -> str:
    return (
        json.dumps(
            {"version": index.version, "registry": index.registry, "subjects": index.subjects},
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )
