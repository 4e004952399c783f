"""Which images are meant: comparisons over the columns of a run's table, in pandas' words.

A query is parsed and checked before anything of it is evaluated: names, constants, comparisons,
``and``, ``or``, ``not``, ``in`` and arithmetic, and nothing else, so that no text from a file or a
web page can do more than choose rows.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.statistics.query_evaluation import (
    ARITHMETIC,
    Evaluation,
    check_constant,
    listed_constant,
)
from napari_globalxai.statistics.query_names import without_backticks

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 4000
_DOUBLED = ", where one that a name holds is doubled"
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
    tree : ast.expr
        What was parsed.
    names : dict of str to str
        Columns of which `tree` has other names.
    """

    text: str
    columns: tuple[str, ...]
    tree: ast.expr
    names: dict[str, str]

    def mask(self, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return which rows of a table are meant, (row,).

        A missing value is equal to nothing and neither less nor greater than anything.

        Raises
        ------
        InputError
            When the table has no such column, or text is compared with numbers.
        """
        try:
            found = Evaluation(self, table).of(self.tree)
        except RecursionError:
            self.refuse(_TOO_DEEP)
        if np.asarray(found).dtype != bool:
            self.refuse("gives a value and not yes or no; compare it with one, as in age > 60")
        return np.broadcast_to(found, len(table)).copy()

    def rows(self, table: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Return the numbers of the rows that are meant, ascending; see `mask`."""
        return np.flatnonzero(self.mask(table)).astype(np.int64)

    def remarks(self, table: pd.DataFrame) -> list[str]:
        """Return a sentence for each thing that is no error, but seldom meant.

        That is a value which a column is compared with and never has, as in ``site == 'b'`` where
        the site is called ``B``, and a division by zero in rows that are chosen.
        """
        evaluation = Evaluation(self, table)
        return [*evaluation.never_found(), *evaluation.divided_by_zero()]

    def refuse(self, why: str) -> NoReturn:
        """Raise `InputError` about this query."""
        raise InputError(f"The query {self.text!r} {why}.")


def parse_query(text: str) -> Query:
    """Parse and check a query.

    Parameters
    ----------
    text : str
        Such as ``site == 'B' and age > 60``; names with blanks or other signs stand in backticks,
        and a backtick in a name is doubled.

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
    source, names = without_backticks(text)
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
            f"and names with blanks in backticks{_DOUBLED * ('`' in query.text)}"
        )


def _check(query: Query, node: ast.AST, names: dict[str, str], found: dict[str, None]) -> None:
    """Refuse everything that does not choose rows, and gather the columns."""
    match node:
        case ast.Name():
            found[names.get(node.id, node.id)] = None
        case ast.Constant():
            check_constant(query, node.value)
        case ast.BoolOp() | ast.Compare():
            _check_children(query, node, names, found)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
            _check(query, node.operand, names, found)
        case ast.BinOp() if type(node.op) in ARITHMETIC:
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
                listed_constant(query, element)
        else:
            _check(query, child, names, found)
