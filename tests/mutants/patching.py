"""Shipped modules out of patched source, in this process alone: no file is touched, and no cache of one."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType

from tests.mutants.mutant import Edit, Mutant


class PatchError(Exception):
    """The patch and the code do not fit: the mutant has to follow the code."""


def patched(source: str, edits: Sequence[Edit], where: str) -> str:
    """
    Raises:
        PatchError: an old text is not there exactly once, or what comes out is what was there, or no Python.
    """
    result = source
    for edit in edits:
        found = result.count(edit.old)
        if found != 1:
            raise PatchError(f"{where}: found {found} times, not once:\n{edit.old}")
        result = result.replace(edit.old, edit.new)
    if result == source:
        raise PatchError(f"{where}: the patch changes nothing")
    try:
        compile(result, where, "exec")
    except SyntaxError as error:
        raise PatchError(f"{where}: not Python any more: {error}") from error
    return result


def sources(mutant: Mutant) -> dict[str, str]:
    """The patched source of each of the mutant's modules.

    Raises:
        PatchError: see `patched`.
    """
    return {
        module: patched(
            _path_of(module).read_text("utf-8"),
            [edit for edit in mutant.edits if edit.module == module],
            f"mutant {mutant.name}, {module}",
        )
        for module in dict.fromkeys(edit.module for edit in mutant.edits)
    }


def install(mutant: Mutant) -> "PatchedModules":
    """From here on this process imports the mutant's modules as it has them.

    Raises:
        PatchError: see `patched`; or one of them was imported before.
    """
    finder = PatchedModules(sources(mutant))
    early = [module for module in finder.waiting if module in sys.modules]
    if early:
        raise PatchError(f"mutant {mutant.name}: {', '.join(early)} was imported before the patch")
    sys.meta_path.insert(0, finder)
    return finder


class PatchedModules(MetaPathFinder):
    """`waiting`: those that nobody has imported yet. A mutant that nobody imports proves nothing."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources
        self.waiting = set(sources)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.waiting:
            return None
        self.waiting.remove(fullname)
        spec = find_spec(fullname)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._sources[fullname])
        return spec


class _Loader(SourceFileLoader):
    """Compiles the source that it was given, and neither reads nor writes a cache."""

    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._source, self.path, "exec", dont_inherit=True)
        return code


def _path_of(module: str) -> Path:
    """Without importing anything: `cdc.core.reading` lies where its name says."""
    root = Path(__file__).parents[2]
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        raise PatchError(f"there is no module {module}")
    return path
