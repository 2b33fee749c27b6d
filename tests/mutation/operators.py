"""The faults: what may be changed in a file, one place at a time, found on its syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COMPUTED = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("fmin", "fmax"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("mean", "sum"),
    ("any", "all"),
    ("floor", "ceil"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("cumsum", "cumprod"),
    ("logical_and", "logical_or"),
)
OPPOSITE = {name: other for pair in PAIRS for name, other in (pair, pair[::-1])}
UNWRAPPED = {"abs", "detach", "copy", "clone", "clip", "clamp", "sqrt", "log", "exp", "sorted", "reversed"}
LIBRARIES = {"np", "numpy", "torch", "math"}
SILENT = {"print", "log", "warn", "warning", "info", "debug", "TypeVar", "cast", "NewType", "NamedTuple"}
UNORDERED = {"isinstance", "issubclass", "getattr", "setattr", "hasattr", "super"}


@dataclass(frozen=True)
class Mutant:
    """One fault in one file.

    Attributes:
        module: path of the file in the tree
        function: qualified name of the function around it, empty at the module's level
        kind: the operator
        line: where it begins
        lines: the first and last line of the statement around it, of a compound one of the head
        start: its first character in the text
        end: the one after its last
        put: what is put there
        before: the statement around it, of a compound one the head, on one line
        after: the statement with the fault
    """

    module: str
    function: str
    kind: str
    line: int
    lines: tuple[int, int]
    start: int
    end: int
    put: str
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the fault wherever the function stands."""
        return self.function, self.before, self.after

    def apply(self, text: str) -> str:
        """Return the file's text with the fault."""
        return text[: self.start] + self.put + text[self.end :]


def mutants(module: str, text: str) -> list[Mutant]:
    """Return every fault that the operators know in a file, in the order of the text."""
    return list(_Walk(module, text).visit(ast.parse(text), "", None))


def changes(mutant: Mutant, text: str) -> bool:
    """Tell whether a fault leaves Python that means something else."""
    try:
        return ast.dump(ast.parse(mutant.apply(text))) != ast.dump(ast.parse(text))
    except SyntaxError:
        return False


class _Walk:
    """Yields mutants of what is computed: no text, annotation, import, message or log."""

    def __init__(self, module: str, text: str):
        self.module = module
        self.text = text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.lines = text.splitlines()
        self.statement = (0, 0)

    def visit(self, node: ast.AST, function: str, parent: ast.AST | None) -> Iterator[Mutant]:
        """Yield the mutants of a node and of what lies in it."""
        if isinstance(node, ast.stmt):
            self.statement = self._head(node)
        for kind, after in operators(node, parent):
            yield self._mutant(node, function, kind, after)
        inner = function
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{function}.{node.name}" if function else node.name
        statement = self.statement
        for child in computed(node):
            yield from self.visit(child, inner, node)
            self.statement = statement

    def _mutant(self, node: Any, function: str, kind: str, after: ast.AST) -> Mutant:
        start, end = self._place(node.lineno, node.col_offset), self._place(node.end_lineno, node.end_col_offset)
        text, (first, last) = ast.unparse(after), self.statement
        loose = isinstance(after, ast.BinOp | ast.Compare | ast.BoolOp | ast.UnaryOp | ast.IfExp)
        put = f"({text})" if loose else text
        around = self.text[first:last], self.text[first:start] + put + self.text[end:last]
        before, changed = (" ".join(one.split()) for one in around)
        lines = self.text.count("\n", 0, first) + 1, self.text.count("\n", 0, max(first, last - 1)) + 1
        return Mutant(self.module, function, kind, node.lineno, lines, start, end, put, before, changed)

    def _head(self, node: Any) -> tuple[int, int]:
        """Return where a statement begins and ends, of a compound one where its body begins."""
        end = self._place(node.end_lineno, node.end_col_offset)
        body = getattr(node, "body", None)
        if isinstance(body, list) and body:
            end = self._place(body[0].lineno, body[0].col_offset)
        return self._place(node.lineno, node.col_offset), end

    def _place(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())


def computed(node: ast.AST) -> list[ast.AST]:
    """Return the children of a node in which a fault would change a result."""
    match node:
        case ast.Module() | ast.ClassDef():
            return [child for child in node.body if not _declares(child)]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            if any("overload" in ast.unparse(decorator) for decorator in node.decorator_list):
                return []
            defaults = [default for default in (*node.args.defaults, *node.args.kw_defaults) if default]
            return [*defaults, *(child for child in node.body if not _declares(child))]
        case ast.Raise() | ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.Assert():
            return []
        case ast.AnnAssign():
            return [node.value] if node.value else []
        case ast.arguments() | ast.arg():
            return []
        case ast.Call() if _name(node.func) in SILENT:
            return []
        case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
            return list(node.orelse)
    return list(ast.iter_child_nodes(node))


def _declares(node: ast.stmt) -> bool:
    """Tell a docstring, `__all__` and the names of types from what computes."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Assign):
        names = [_name(target) for target in node.targets]
        typing = isinstance(node.value, ast.Subscript | ast.BinOp) and all(name[:1].isupper() for name in names)
        return "__all__" in names or "__slots__" in names or (typing and not any(name.isupper() for name in names))
    return False


def _name(node: ast.AST) -> str:
    """Return the last part of a name, empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def operators(node: ast.AST, parent: ast.AST | None) -> Iterator[tuple[str, ast.AST]]:
    """Yield the name of each operator that fits a node, and what it puts there."""
    for kind, rule in RULES.items():
        for after in rule(node, parent):
            yield kind, after


def _with(node: Any, **news: Any) -> Any:
    changed = copy.copy(node)
    for name, value in news.items():
        setattr(changed, name, value)
    return ast.fix_missing_locations(changed)


def _comparison(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARED[type(node.ops[0])]:
            yield _with(node, ops=[other()])


def _arithmetic(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and type(node.op) in COMPUTED and not (_textual(node.left) or _textual(node.right)):
        for other in COMPUTED[type(node.op)]:
            yield _with(node, op=other())


def _textual(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | None))


def _augmented(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if isinstance(node, ast.AugAssign) and type(node.op) in COMPUTED:
        yield _with(node, op=COMPUTED[type(node.op)][0]())


def _constant(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        if value:
            yield ast.Constant(value - 1)
    elif isinstance(value, float) and abs(value) != float("inf") and (value == 0 or abs(value) > 1e-4):
        yield ast.Constant(value * 2 if value else 1.0)


def _sign(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield node.operand


def _connective(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())


def _condition(node: ast.AST, parent: ast.AST | None) -> Iterator[ast.AST]:
    if isinstance(parent, ast.If | ast.IfExp) and node is parent.test and not isinstance(node, ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)
    if isinstance(parent, ast.comprehension) and node in parent.ifs:
        yield ast.Constant(True)


def _swapped(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and _name(node.func) not in UNORDERED and len(node.args) >= 2:
        if any(isinstance(one, ast.Starred) for one in node.args):
            return
        for place in range(len(node.args) - 1):
            args = list(node.args)
            args[place], args[place + 1] = args[place + 1], args[place]
            yield _with(node, args=args)


def _opposite(node: ast.AST, parent: ast.AST | None) -> Iterator[ast.AST]:
    if isinstance(parent, ast.Call) and node is parent.func and _name(node) in OPPOSITE:
        other = OPPOSITE[_name(node)]
        yield _with(node, attr=other) if isinstance(node, ast.Attribute) else ast.Name(other)


def _unwrapped(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Call) or _name(node.func) not in UNWRAPPED:
        return
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if owner is not None and _name(owner) not in LIBRARIES:
        yield owner
    elif node.args:
        yield node.args[0]


def _dropped(node: ast.AST, parent: ast.AST | None) -> Iterator[ast.AST]:
    """A statement that only changes something; not the constructor's assignments, without which nothing runs."""
    changes = isinstance(node, ast.AugAssign | ast.Delete) or (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Subscript | ast.Attribute)
        and getattr(parent, "name", "") != "__init__"
    )
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _name(node.value.func) not in SILENT
    if changes or (called and "super()" not in ast.unparse(node)):
        yield ast.Pass()


def _index(node: ast.AST, parent: ast.AST | None) -> Iterator[ast.AST]:
    if isinstance(parent, ast.Subscript) and node is parent.slice and isinstance(node, ast.Name | ast.BinOp):
        yield ast.BinOp(node, ast.Add(), ast.Constant(1))
    if isinstance(parent, ast.Slice) and isinstance(node, ast.Name | ast.BinOp | ast.Attribute):
        yield ast.BinOp(node, ast.Add(), ast.Constant(1))


def _jump(node: ast.AST, _: object) -> Iterator[ast.AST]:
    if isinstance(node, ast.Break):
        yield ast.Continue()
    if isinstance(node, ast.Continue):
        yield ast.Break()


RULES: dict[str, Callable[[ast.AST, ast.AST | None], Iterator[ast.AST]]] = {
    "comparison": _comparison,
    "arithmetic": _arithmetic,
    "augmented": _augmented,
    "constant": _constant,
    "sign": _sign,
    "connective": _connective,
    "condition": _condition,
    "swapped": _swapped,
    "opposite": _opposite,
    "unwrapped": _unwrapped,
    "dropped": _dropped,
    "index": _index,
    "jump": _jump,
}
