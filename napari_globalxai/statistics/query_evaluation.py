"""A checked query over one table: which rows it chooses, and what is odd about it."""

from __future__ import annotations

import ast
import difflib
import operator
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.cohort.wording import form, named, rows_named
from napari_globalxai.statistics.query_names import in_backticks
from napari_globalxai.statistics.query_texts import (
    compared,
    is_text,
    text_among_numbers,
    texts_of,
    why_not_ordered,
)

if TYPE_CHECKING:
    import pandas as pd

    from napari_globalxai.statistics.query import Query

_LARGEST = 2**63 - 1
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_DIVISIONS = ast.Div, ast.FloorDiv, ast.Mod
# The column that names an image.
_FILE = "file"
_SHOWN_VALUES = 6


def check_constant(query: Query, value: object) -> None:
    """Refuse a constant of another kind than columns hold."""
    if not isinstance(value, bool | int | float | str):
        query.refuse(f"has the constant {value!r}; write numbers, text in quotes, True or False")
    if isinstance(value, int) and abs(value) > _LARGEST:
        query.refuse("has a number that is too large")


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)


def listed_constant(query: Query, node: ast.expr) -> Any:
    """Return an element of a list, which may be a negative number."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    if not isinstance(node, ast.Constant) or (sign < 0 and isinstance(node.value, str)):
        query.refuse("has a list of something else than constants; write them out")
    check_constant(query, node.value)
    return node.value if sign > 0 else -node.value  # type: ignore[operator]


class Evaluation:
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
                    return ARITHMETIC[type(node.op)](left, right)
            case ast.Compare():
                return self._chain(node)
        raise AssertionError(ast.dump(node))

    def never_found(self) -> list[str]:
        """Return remarks on values that a column is compared with and never has."""
        remarks: list[str] = []
        for node in ast.walk(self.query.tree):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            for left, how, right in zip(sides, node.ops, sides[1:], strict=False):
                if isinstance(how, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                    for name, values in ((left, right), (right, left)):
                        if isinstance(name, ast.Name):
                            remarks += self._lacking(name.id, values)
        return list(dict.fromkeys(remarks))

    def divided_by_zero(self) -> list[str]:
        """Return remarks on chosen rows for which something is divided by zero.

        As in pandas that gives infinity, which is greater than everything.
        """
        nodes = [node for node in ast.walk(self.query.tree) if isinstance(node, ast.BinOp)]
        divisions = [node for node in nodes if isinstance(node.op, _DIVISIONS)]
        chosen = self.query.mask(self.table) if divisions else np.zeros(0, bool)
        remarks: list[str] = []
        for node in divisions:
            zero = np.flatnonzero((self._number(node.right) == 0) & chosen)
            if len(zero):
                others = f"; {self._shown(node.right)} != 0 leaves them out"
                is_constant = not any(isinstance(part, ast.Name) for part in ast.walk(node.right))
                remarks.append(
                    f"division by zero in {self._shown(node)}: {self._images(zero)} "
                    f"{form(len(zero), 'is', 'are')} among those chosen"
                    f"{others * (not is_constant)}"
                )
        return list(dict.fromkeys(remarks))

    def _images(self, rows: npt.NDArray[np.int64]) -> str:
        if len(rows) == len(self.table) > 1:
            return "all images"
        return (
            named(self.table[_FILE].iloc[rows])
            if _FILE in self.table
            else rows_named(rows.tolist())
        )

    def _lacking(self, name: str, values: ast.expr) -> list[str]:
        elements = [values]
        if isinstance(values, ast.List | ast.Tuple | ast.Set):
            elements = values.elts
        if not all(map(_is_constant, elements)):
            return []
        asked = [listed_constant(self.query, each) for each in elements]
        column = self._column(name)
        there = [value for value in dict.fromkeys(column.tolist()) if not _is_missing(value)]
        shown = ", ".join(repr(value) for value in there[:_SHOWN_VALUES])
        more = ", …" if len(there) > _SHOWN_VALUES else ""
        title = self.query.names.get(name, name)
        return [
            f"no image has {title} {value!r}, but {shown or 'nothing'}{more}"
            for value in asked
            if value not in there
        ]

    def _column(self, name: str) -> npt.NDArray[Any]:
        if name not in self._columns:
            self._columns[name] = self._read(self.query.names.get(name, name))
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
            others = ", ".join(map(in_backticks, close or known))
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
        for plain, name in self.query.names.items():
            text = re.sub(rf"\b{plain}\b", lambda _, name=name: in_backticks(name), text)  # type: ignore[misc]
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
        for constant in (listed_constant(self.query, each) for each in right.elts):
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
