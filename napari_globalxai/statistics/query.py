"""Which images are meant: comparisons over the columns of a run's table, in pandas' words.

A query is parsed and checked before anything of it is evaluated: names, constants, comparisons,
``and``, ``or``, ``not``, ``in`` and arithmetic, and nothing else, so that no text from a file or a
web page can do more than choose rows.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.statistics.query_texts import (
    compared,
    is_text,
    text_among_numbers,
    texts_of,
    why_not_ordered,
)

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 4000
_LARGEST = 2**63 - 1
# What is quoted in either way, or in backticks; a quote without its twin is left to the parser.
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`]*)`""")
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_SHOWN_VALUES = 6
_TOO_DEEP = "is nested too deeply; write it with fewer brackets"


@dataclass(frozen=True)
class Query:
    """A checked query; see `parse_query`.

    Attributes
    ----------
    text : str
        As it was written.
    columns : tuple of str
        Columns that it names, each once, in their order.
    """

    text: str
    columns: tuple[str, ...]
    _tree: ast.expr
    _names: dict[str, str]

    def mask(self, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return which rows of a table are meant, (row,).

        A missing value is equal to nothing and neither less nor greater than anything.

        Raises
        ------
        InputError
            When the table has no such column, or text is compared with numbers.
        """
        try:
            found = _Evaluation(self, table).of(self._tree)
        except RecursionError:
            self.refuse(_TOO_DEEP)
        if np.asarray(found).dtype != bool:
            self.refuse("gives a value and not yes or no; compare it with one, as in age > 60")
        return np.broadcast_to(found, len(table)).copy()

    def rows(self, table: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Return the numbers of the rows that are meant, ascending; see `mask`."""
        return np.flatnonzero(self.mask(table)).astype(np.int64)

    def remarks(self, table: pd.DataFrame) -> list[str]:
        """Return a sentence for each value that a column is compared with and never has.

        ``site == 'b'`` chooses no image where the site is called ``B``, which is no error, but
        seldom meant.
        """
        return _Evaluation(self, table).never_found()

    def refuse(self, why: str) -> NoReturn:
        """Raise `InputError` about this query."""
        raise InputError(f"The query {self.text!r} {why}.")


def parse_query(text: str) -> Query:
    """Parse and check a query.

    Parameters
    ----------
    text : str
        Such as ``site == 'B' and age > 60``; names with blanks or other signs stand in backticks.

    Raises
    ------
    InputError
        When it cannot be parsed, or has anything but names, constants, comparisons, ``and``,
        ``or``, ``not``, ``in`` and arithmetic.
    """
    draft = Query(text, (), ast.Constant(True), {})
    if not text.strip():
        raise InputError("The query is empty; write one such as site == 'B' and age > 60.")
    if len(text) > _LONGEST:
        raise InputError(f"The query has {len(text)} characters; at most {_LONGEST} are read.")
    source, names = _without_backticks(text)
    found: dict[str, None] = {}
    try:
        tree = _parse(draft, source)
        _check(draft, tree, names, found)
    except (MemoryError, RecursionError):
        draft.refuse(_TOO_DEEP)
    return Query(text, tuple(found), tree, names)


def _parse(query: Query, source: str) -> ast.expr:
    try:
        # In brackets, lines may break as they like.
        return ast.parse(f"({source}\n)", mode="eval").body
    except (SyntaxError, ValueError):
        query.refuse(
            "cannot be read; write comparisons such as site == 'B' and age > 60, text in quotes "
            "and names with blanks in backticks"
        )


def _without_backticks(text: str) -> tuple[str, dict[str, str]]:
    """Return the text with plain names for those in backticks, and what they stand for."""
    names: dict[str, str] = {}
    prefix = "column"
    while prefix in text:
        prefix += "_"

    def plain(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        name = f"{prefix}{len(names)}"
        names[name] = match[1]
        return f" {name} "

    return _QUOTED.sub(plain, text), names


def _check(query: Query, node: ast.AST, names: dict[str, str], found: dict[str, None]) -> None:
    """Refuse everything that does not choose rows, and gather the columns."""
    match node:
        case ast.Name():
            found[names.get(node.id, node.id)] = None
        case ast.Constant():
            _check_constant(query, node.value)
        case ast.BoolOp() | ast.Compare():
            _check_children(query, node, names, found)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
            _check(query, node.operand, names, found)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            _check(query, node.left, names, found)
            _check(query, node.right, names, found)
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr() | ast.BitXor()):
            query.refuse("has &, | or ^; write and, or and not")
        case ast.UnaryOp(op=ast.Invert()):
            query.refuse("has ~; write not")
        case ast.List() | ast.Tuple() | ast.Set():
            query.refuse("has a list in a place where none can be; write one after in")
        case ast.cmpop() | ast.boolop() | ast.expr_context():
            if isinstance(node, ast.Is | ast.IsNot):
                query.refuse("has is; write ==, or x != x for missing values")
        case _:
            query.refuse(
                "has something else than names, constants, comparisons, and, or, not, in and "
                f"arithmetic ({type(node).__name__.lower()}); leave it out"
            )


def _check_children(
    query: Query, node: ast.BoolOp | ast.Compare, names: dict[str, str], found: dict[str, None]
) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.Compare) and isinstance(child, ast.List | ast.Tuple | ast.Set):
            for element in child.elts:
                _constant(query, element)
        else:
            _check(query, child, names, found)


def _check_constant(query: Query, value: object) -> None:
    if not isinstance(value, bool | int | float | str):
        query.refuse(f"has the constant {value!r}; write numbers, text in quotes, True or False")
    if isinstance(value, int) and abs(value) > _LARGEST:
        query.refuse("has a number that is too large")


def _constant(query: Query, node: ast.expr) -> Any:
    """Return an element of a list, which may be a negative number."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    if not isinstance(node, ast.Constant) or (sign < 0 and isinstance(node.value, str)):
        query.refuse("has a list of something else than constants; write them out")
    _check_constant(query, node.value)
    return node.value if sign > 0 else -node.value  # type: ignore[operator]


class _Evaluation:
    """A query over one table."""

    def __init__(self, query: Query, table: pd.DataFrame) -> None:
        self.query = query
        self.table = table
        self._columns: dict[str, npt.NDArray[Any]] = {}

    def of(self, node: ast.expr) -> Any:
        """Return the value of a part: an array (row,) or a constant."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self._column(node.id)
            case ast.BoolOp():
                parts = [self._truth(part) for part in node.values]
                both = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
                result = parts[0]
                for part in parts[1:]:
                    result = both(result, part)
                return result
            case ast.UnaryOp(op=ast.Not()):
                return np.logical_not(self._truth(node.operand))
            case ast.UnaryOp():
                value = self._number(node.operand)
                return -value if isinstance(node.op, ast.USub) else value
            case ast.BinOp():
                left, right = self._number(node.left), self._number(node.right)
                with np.errstate(all="ignore"):
                    return _ARITHMETIC[type(node.op)](left, right)
            case ast.Compare():
                return self._chain(node)
        raise AssertionError(ast.dump(node))

    def never_found(self) -> list[str]:
        """Return remarks on values that a column is compared with and never has."""
        remarks: list[str] = []
        for node in ast.walk(self.query._tree):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            for left, how, right in zip(sides, node.ops, sides[1:], strict=False):
                if isinstance(how, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                    for name, values in ((left, right), (right, left)):
                        if isinstance(name, ast.Name):
                            remarks += self._lacking(name.id, values)
        return list(dict.fromkeys(remarks))

    def _lacking(self, name: str, values: ast.expr) -> list[str]:
        if isinstance(values, ast.Constant):
            asked = [values.value]
        elif isinstance(values, ast.List | ast.Tuple | ast.Set):
            asked = [_constant(self.query, each) for each in values.elts]
        else:
            return []
        column = self._column(name)
        there = [value for value in dict.fromkeys(column.tolist()) if not _is_missing(value)]
        shown = ", ".join(repr(value) for value in there[:_SHOWN_VALUES])
        more = ", …" if len(there) > _SHOWN_VALUES else ""
        title = self.query._names.get(name, name)
        return [
            f"no image has {title} {value!r}, but {shown or 'nothing'}{more}"
            for value in asked
            if value not in there
        ]

    def _column(self, name: str) -> npt.NDArray[Any]:
        if name not in self._columns:
            self._columns[name] = self._read(self.query._names.get(name, name))
        return self._columns[name]

    def _read(self, name: str) -> npt.NDArray[Any]:
        """Return a column as numbers, as yes and no, or as text and None."""
        known = [str(column) for column in self.table.columns]
        # Python brings names to this form of Unicode before anybody sees them.
        alike = [each for each in known if unicodedata.normalize("NFKC", each) == name]
        if name not in known and len(alike) == 1:
            name = alike[0]
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            others = ", ".join(f"`{each}`" for each in close or known)
            self.query.refuse(f"names the column {name!r}, which is not there, but {others}")
        column = self.table[name]
        if column.dtype.kind in "biuf":
            return np.asarray(column.to_numpy())
        missing = column.isna().to_numpy()
        values = column.to_numpy(dtype=object)
        if not missing.all() and all(
            isinstance(each, bool | np.bool_) for each in values[~missing]
        ):
            # Yes, no and missing: as numbers, of which the missing are equal to nothing.
            return np.array(
                [
                    np.nan if gone else float(each)
                    for each, gone in zip(values, missing, strict=True)
                ]
            )
        return np.array(
            [None if gone else str(each) for each, gone in zip(values, missing, strict=True)],
            dtype=object,
        )

    def _shown(self, node: ast.expr) -> str:
        """Return a part as it was written."""
        text = ast.unparse(node)
        for plain, name in self.query._names.items():
            text = re.sub(rf"\b{plain}\b", lambda _, name=name: f"`{name}`", text)  # type: ignore[misc]
        return text

    def _truth(self, node: ast.expr) -> Any:
        value = self.of(node)
        if np.asarray(value).dtype != bool:
            self.query.refuse(
                f"has {self._shown(node)!r} where yes or no is needed; compare it with a value, as "
                "in age > 60"
            )
        return value

    def _number(self, node: ast.expr) -> Any:
        value = np.asarray(self.of(node))
        if value.dtype.kind not in "iuf":
            self.query.refuse("calculates with something else than numbers; compare it only")
        # Whole numbers would overflow without a word.
        return value.astype(np.float64)

    def _chain(self, node: ast.Compare) -> Any:
        """Return a comparison, or several in a row as in ``40 < age < 60``."""
        sides = [node.left, *node.comparators]
        parts = [
            self._compare(left, how, right)
            for left, how, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return np.logical_and.reduce(np.broadcast_arrays(*parts)) if len(parts) > 1 else parts[0]

    def _compare(self, left: ast.expr, how: ast.cmpop, right: ast.expr) -> Any:
        if isinstance(right, ast.List | ast.Tuple | ast.Set) or isinstance(how, ast.In | ast.NotIn):
            return self._among(left, how, right)
        if isinstance(left, ast.List | ast.Tuple | ast.Set):
            self.query.refuse("has a list on the left; write the column first")
        first, second = self.of(left), self.of(right)
        self._must_fit(left, first, second)
        if not isinstance(how, ast.Eq | ast.NotEq) and is_text(first) and is_text(second):
            self._must_have_an_order(left, first, second)
        return compared(first, second, _COMPARISONS[type(how)], isinstance(how, ast.NotEq))

    def _must_have_an_order(self, node: ast.expr, first: Any, second: Any) -> None:
        """Refuse to put numbers and dates in the order of their letters."""
        if why := why_not_ordered((*texts_of(first), *texts_of(second))):
            self.query.refuse(
                f"asks which text is greater at {self._shown(node)!r}, but {why}; in images.csv, "
                "write numbers alone or dates such as 2021-01-31, and leave empty what is neither"
            )

    def _among(self, left: ast.expr, how: ast.cmpop, right: ast.expr) -> Any:
        """Return whether values are among constants; pandas takes ``==`` for ``in``, too."""
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            self.query.refuse("has in without a list; write one such as ['A', 'B']")
        if not isinstance(how, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            self.query.refuse("compares a list by size; write in or not in")
        value = self.of(left)
        result = np.zeros(np.shape(value), dtype=bool)
        for constant in (_constant(self.query, each) for each in right.elts):
            self._must_fit(left, value, constant)
            result = result | compared(value, constant, operator.eq, False)
        return ~result if isinstance(how, ast.NotEq | ast.NotIn) else result

    def _must_fit(self, node: ast.expr, first: Any, second: Any) -> None:
        """Refuse to compare text with numbers, which is never equal, and says nothing."""
        texts = [is_text(each) for each in (first, second)]
        if texts[0] == texts[1]:
            return
        text = first if texts[0] else second
        example = next(
            (each for each in np.ravel(np.asarray(text, object)) if each is not None), ""
        )
        # A column that is empty everywhere holds neither.
        if example == "" and np.ndim(text):
            return
        mend = "put text in quotes, and numbers in none"
        if np.ndim(text) and (odd := text_among_numbers(texts_of(text))):
            mend = (
                f"in images.csv, correct fields such as {odd!r} or leave them empty, and the "
                "column is one of numbers"
            )
        if str(example).casefold() in ("true", "false"):
            mend = "write True and False without quotes where a column holds nothing else"
        shown = self._shown(node)
        self.query.refuse(f"compares text, such as {example!r}, with numbers at {shown!r}; {mend}")


def _is_missing(value: object) -> bool:
    return value is None or value != value
