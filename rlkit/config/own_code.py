"""Callables of the user's own: ``my_env.py:MyEnv`` in a file, ``my_package.module:MyEnv`` in a module.

A file is loaded when it is named, again when it has changed. Modules are also found in the working folder, which is
appended to Python's path only where a command names one in it: nothing else that lies there is ever imported.
What a Python program passes as an object and no text can name is called ``python:name``.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from rlkit.config.messages import OF_PROGRAM, nearest
from rlkit.core.types import Interrupted, UsageError, described

NAME = r"[^\W\d]\w*"
DOTTED = rf"{NAME}(?:\.{NAME})*"
IN_FILE = re.compile(rf"(.+\.py):({DOTTED})")
IN_MODULE = re.compile(rf"({DOTTED}):({DOTTED})")


def is_own(text: str) -> bool:
    """Return whether a text names a callable by its file or, with a colon, by its module."""
    return bool(IN_FILE.fullmatch(text) or IN_MODULE.fullmatch(text))


def canonical(target: str) -> str:
    """Return a name as configurations keep it: a file by its absolute path, a module with a dot before the name."""
    if found := IN_FILE.fullmatch(target):
        return f"{Path(found[1]).expanduser().resolve()}:{found[2]}"
    if target.startswith(OF_PROGRAM) or not (found := IN_MODULE.fullmatch(target)):
        return target
    return f"{found[1]}.{found[2]}"


def in_text(node: Any) -> Any:
    """Return a node of plain data in which objects of a program are named."""
    if isinstance(node, list):
        return list(map(in_text, node))
    if isinstance(node, dict):
        return {key: _name_of_object(part, node) if callable(part) else in_text(part) for key, part in node.items()}
    return _name_of_object(node, {}) if callable(node) else node


def _name_of_object(value: Any, arguments: Mapping[str, Any]) -> str:
    """Return the name of an object that a node calls with `arguments`, which say what a partial binds."""
    if isinstance(value, functools.partial) and not value.args:
        said = all(key in arguments and arguments[key] == bound for key, bound in value.keywords.items())
        return _name_of_object(value.func, arguments) if said else f"{OF_PROGRAM}{identifier_of(value)}"
    found = importable_name(value)
    return canonical(found) if found is not None else f"{OF_PROGRAM}{identifier_of(value)}"


def of_program(values: Mapping[str, Any]) -> list[str]:
    """Return what a run's configuration, as plain data, is made of that no command finds."""
    nodes = [values["env"], *values["preprocess"]]
    targets = [str(node.get("_target_")) for node in nodes if isinstance(node, dict)]
    return [target.removeprefix(OF_PROGRAM) for target in targets if target.startswith(OF_PROGRAM)]


def importable_name(value: Any) -> str | None:
    """Return ``module:name`` of what another process can import; None of what a script or a notebook defines."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    there = getattr(sys.modules.get(str(module)), name, None)
    return f"{module}:{name}" if module != "__main__" and there is value and name.isidentifier() else None


def identifier_of(value: Any) -> str:
    """Return the name of a callable in letters, digits and underscores."""
    value = getattr(value, "func", value)  # of a partial
    return re.sub(r"\W", "_", getattr(value, "__name__", type(value).__name__)).strip("_") or "function"


def file_in(target: str) -> Path | None:
    """Return the file that a name names; where it is not there, one of the same name in the working folder."""
    found = IN_FILE.fullmatch(target)
    if found is None:
        return None
    path = Path(found[1]).expanduser()
    here = Path.cwd() / path.name
    return here if not path.is_file() and here.is_file() else path


def located(target: str, path: str) -> Any:
    """Load the file that `target` names, and return what is called so in it; `path` is the node, for messages.

    Raises:
        UsageError: there is no such file or name, or its code raised an exception.
    """
    if target.startswith(OF_PROGRAM):
        raise UsageError(only_in_program(target, path))
    found = IN_FILE.fullmatch(target)
    file = file_in(target)
    if found is None or file is None:
        raise UsageError(f"{path} is {target!r}; write my_file.py:MyClass or my_package.module:MyClass")
    value: Any = load(file)
    for part in found[2].split("."):
        if not hasattr(value, part):
            raise UsageError(f"{path}: {file.name} has no {found[2]}{nearest(found[2], _callables(value))}")
        value = getattr(value, part)
    if not callable(value):
        raise UsageError(f"{path}: {found[2]} of {file.name} is {value!r}; it must be a class or a function")
    return value


def only_in_program(target: str, path: str) -> str:
    """Return the message for the name of an object of a program, which no command finds."""
    return (
        f"{path} is {target.removeprefix(OF_PROGRAM)} of a Python program, which no command finds; in Python: "
        "rlkit.load(run, env=…, wrappers=[…]), or rlkit.train(resume=run, env=…, wrappers=[…])"
    )


def _callables(module: Any) -> list[str]:
    named = {name: value for name, value in vars(module).items() if callable(value) and not name.startswith("_")}
    own = [name for name, value in named.items() if getattr(value, "__module__", None) == module.__name__]
    return own or list(named)


def load(file: Path) -> ModuleType:
    """Return the module of a file, executed unless it was since it last changed.

    Raises:
        UsageError: it is not there, or its code raised an exception.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        from rlkit.config.own_files import nearest_file

        near = "" if file.exists() else nearest_file(file)
        raise UsageError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}{near}") from error
    digest = hashlib.sha256(content).hexdigest()
    name = _module_name(file)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__rlkit_digest__", digest) == digest:
        return known
    return _executed(name, file, content, digest)


def _executed(name: str, file: Path, content: bytes, digest: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)["__rlkit_digest__"] = digest
    append_to_path(file.parent)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(compile(content, str(file), "exec"), vars(module))
    except (Interrupted, KeyboardInterrupt, UsageError):
        raise
    except BaseException as error:  # a user's file can raise anything
        _put_back(name, before)
        raise UsageError(f"{file.name} cannot be imported: {described(error)}{_remedy(file, error)}") from error
    return module


def _put_back(name: str, module: ModuleType | None) -> None:
    if module is None:
        del sys.modules[name]
    else:
        sys.modules[name] = module


def _remedy(file: Path, error: BaseException) -> str:
    if isinstance(error, ImportError) and "relative import" in str(error):
        return f"; a file of a package is named by its module: {file.parent.name}.{file.stem}:…"
    if isinstance(error, ModuleNotFoundError):
        return "; is that package installed?"
    return " (RLKIT_TRACEBACK=1 shows where)"


def _module_name(file: Path) -> str:
    """Return the file's own name if no other module has it, so that other files of its folder import the same one."""
    stem = re.sub(r"\W", "_", file.stem)
    loaded = sys.modules.get(stem)
    if loaded is not None:
        free = _same(getattr(loaded, "__file__", None), file)
    else:
        spec = spec_of(stem)
        free = spec is None or _same(spec.origin, file)
    return stem if free else f"{stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"


def _same(path: str | None, file: Path) -> bool:
    return path is not None and Path(path).resolve() == file.resolve()


def spec_of(root: str) -> Any:
    """Return the spec of a module without a dot, None where Python finds none; nothing is imported."""
    with suppress(ImportError, ValueError):
        return importlib.util.find_spec(root)
    return None


def append_to_path(folder: Path) -> None:
    """Let Python find modules in a folder, after all others."""
    text = str(folder.resolve())
    if text not in sys.path:
        sys.path.append(text)


def module_of(target: str) -> str:
    """Return the module that a dotted name, or an id ``module:Name-v0``, names; "" where it names none."""
    return target.rpartition(":")[0] if ":" in target else target.rpartition(".")[0]


def make_importable(target: str, folders: Sequence[Path] = ()) -> None:
    """Let Python find the module of a name in the working folder, or in one of `folders`, if it finds it nowhere."""
    root = module_of(target).partition(".")[0]
    if not root.isidentifier() or root in sys.modules or spec_of(root) is not None:
        return
    for folder in (Path.cwd(), *folders):
        if (folder / f"{root}.py").is_file() or (folder / root).is_dir():
            append_to_path(folder)
            return


def files_of(target: str, folders: Sequence[Path] = ()) -> list[Path]:
    """Return the files that are executed first when a name is located; nothing is imported.

    Args:
        target: a name as in `canonical`, or an id ``module:Name-v0``.
        folders: where modules are looked for beside Python's path and the working folder.
    """
    if (file := file_in(target)) is not None:
        return [file.resolve()] if file.is_file() else []
    root, *parts = module_of(target).split(".")
    spec = spec_of(root) if root.isidentifier() else None
    if spec is not None and spec.origin is not None and not spec.submodule_search_locations:
        return [Path(spec.origin)] if not parts and Path(spec.origin).is_file() else []
    inside = list(spec.submodule_search_locations or ()) if spec is not None else []
    places = [Path(place).parent for place in inside] or [Path.cwd(), *folders]
    return next((found for place in places if (found := _chain(place, [root, *parts]))), [])


def _chain(folder: Path, parts: Sequence[str]) -> list[Path]:
    """Return the files of a module and of the packages around it; none if it is not in `folder`."""
    found = []
    for i, part in enumerate(parts):
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        last = i == len(parts) - 1
        if package.is_file():
            found.append(package.resolve())
        elif last and module.is_file():
            return [*found, module.resolve()]
        elif not (folder / part).is_dir():
            return []
        folder = folder / part
    return found


def folder_of(target: str, files: Sequence[Path]) -> Path | None:
    """Return the folder in which the first part of a module's name lies, if it is the user's own; else None."""
    if not files or "site-packages" in files[0].parts:
        return None
    if IN_FILE.fullmatch(target):
        return files[0].parent
    return files[0].parent.parent if files[0].name == "__init__.py" else files[0].parent


def helpers(files: Sequence[Path], folder: Path) -> list[Path]:
    """Return the other files of `folder` that `files` import, and those that these import."""
    found, left = list(files), list(files)
    while left:
        file = left.pop()
        for base, parts in _imports(file, folder):
            new = [path for path in _chain(base, parts) if path not in found]
            found += new
            left += new
    return found[len(files) :]


def _imports(file: Path, folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield what a file may import from `folder`: where the first part of its name lies, and the parts."""
    with suppress(OSError, SyntaxError, ValueError, RecursionError):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                yield from ((folder, alias.name.split(".")) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = [folder, file.parent, *file.parent.parents][min(node.level, len(file.parents))]
                parts = node.module.split(".") if node.module else []
                yield base, parts
                yield from ((base, [*parts, alias.name]) for alias in node.names)
