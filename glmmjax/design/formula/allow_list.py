"""Formula texts that come from a file or a command line: what may stand in them, so that evaluating them runs nobody's code.

patsy evaluates every expression of a formula as Python. A caller of ``mixed_model`` may write what he likes. A text of unknown origin is
evaluated only when its syntax tree has nothing but columns, numbers, texts, operators, and calls of the functions named here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import patsy

from glmmjax.design.formula.split import FormulaParts
from glmmjax.design.formula.transforms import TRANSFORMS
from glmmjax.errors import FormulaError

__all__ = ["check_code", "check_formula"]

# contrasts are named with and without a call: C(x, Sum), C(x, Treatment("a"))
_FUNCTIONS = frozenset({*TRANSFORMS, "abs", "round"}) - {"demo_data", "EvalEnvironment", "EvalFactor"}
_NUMPY = frozenset(
    (
        *("abs", "absolute", "cbrt", "ceil", "clip", "e", "exp", "exp2", "expm1", "floor", "hypot", "inf", "log", "log10", "log1p", "log2"),
        *("maximum", "minimum", "mod", "nan", "pi", "power", "remainder", "rint", "round", "sign", "sqrt", "square", "trunc", "where"),
        *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cos", "cosh", "sin", "sinh", "tan", "tanh"),
        *("deg2rad", "isfinite", "isnan", "logical_and", "logical_not", "logical_or", "rad2deg"),
    )
)
_NODES = (
    ast.Expression, ast.Load, ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.keyword, ast.List, ast.Tuple, ast.Dict,
    ast.UnaryOp, ast.UAdd, ast.USub, ast.Not, ast.Invert, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow,
    ast.BitAnd, ast.BitOr, ast.BitXor, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip
_LARGEST_NUMBER = 1e15
_LARGEST_COUNT = 1000  # of what a function makes: degrees of freedom of a spline, a power
_LONGEST_TEXT = 10_000
_HOW = (
    "a formula from a file or the command line may have columns, numbers, texts, operators, the functions of formulas (C, factor, log, "
    "poly, ns, ...) and np.log and its kin. For anything else fit with mixed_model from Python, or, where you trust the file, pass "
    "trust=True to gj.load"
)


def check_formula(formula: FormulaParts) -> None:
    """Refuse a formula that could run code.

    Raises
    ------
    FormulaError
        Naming what is not allowed, and what to do.
    """
    sides = formula.right_sides.values()
    terms = [text for side in sides for text in (side.fixed, *(bar.terms for bar in side.bars))]
    expressions = [*formula.outcome_columns, *(offset for side in sides for offset in side.offsets)]
    for code in (*expressions, *(code for text in terms for code in _codes(text))):
        check_code(code)


def _codes(terms: str) -> list[str]:
    """The Python expressions in a right side of patsy's language, which are found without evaluating any of them."""
    if len(terms) > _LONGEST_TEXT:
        raise FormulaError(f"a formula of {len(terms)} characters is too long; at most {_LONGEST_TEXT} are read from a file.")
    try:
        described = patsy.ModelDesc.from_formula(f"~ {terms}")
    except (patsy.PatsyError, SyntaxError, ValueError, RecursionError) as error:
        raise FormulaError(f"the terms {terms!r} cannot be read: {str(error).splitlines()[0]}") from None
    return list(dict.fromkeys(factor.code for term in described.rhs_termlist for factor in term.factors))


def check_code(code: str) -> None:
    """Refuse one Python expression that could run code. A name that is not called runs none; whether it is a column is seen later.

    Raises
    ------
    FormulaError
    """
    shown = code if len(code) <= 80 else f"{code[:80]}..."
    try:
        tree = ast.parse(code[:_LONGEST_TEXT].strip(), mode="eval")
        problem = next(_problems(tree), None)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormulaError(f"{shown!r} cannot be read as an expression ({type(error).__name__}); {_HOW}.") from None
    if problem:
        raise FormulaError(f"{shown!r}: {problem} is not allowed; {_HOW}.")


def _problems(tree: ast.Expression) -> Iterator[str]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        text = ast.unparse(node)
        if not isinstance(node, _NODES):
            yield f"{type(node).__name__} {text!r}".strip()
        elif isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name | ast.Attribute) or any(keyword.arg is None for keyword in node.keywords):
                yield f"the call {text!r}"
        elif isinstance(node, ast.keyword):
            if isinstance(node.value, ast.Constant) and _is_large(node.value, _LARGEST_COUNT) and node.arg == "df":
                yield f"{text!r}"
        elif isinstance(node, ast.Attribute):
            if not (isinstance(node.value, ast.Name) and node.value.id == "np" and node.attr in _NUMPY):
                yield f"{text!r}"
        elif isinstance(node, ast.Name):
            if id(node) in called and node.id not in _FUNCTIONS:
                yield f"a call of {text!r}"
        elif isinstance(node, ast.Constant):
            if not isinstance(node.value, bool | int | float | str | None) or _is_large(node, _LARGEST_NUMBER):
                yield f"the constant {text[:40]!r}"
        elif isinstance(node, ast.BinOp):
            yield from _large_results(node)


def _large_results(node: ast.BinOp) -> Iterator[str]:
    """Operations whose result can be of any size: repeated sequences, powers of constants, large powers."""
    sides = (node.left, node.right)
    texts = [isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides]
    if any(texts) or any(isinstance(side, ast.List | ast.Tuple | ast.Dict) for side in sides):
        yield f"{ast.unparse(node)!r}"
    if isinstance(node.op, ast.Pow):
        is_constant = not any(isinstance(inner, ast.Name) for inner in ast.walk(node))
        if is_constant or (isinstance(node.right, ast.Constant) and _is_large(node.right, _LARGEST_COUNT)):
            yield f"the power {ast.unparse(node)!r}"


def _is_large(node: ast.Constant, limit: float) -> bool:
    return isinstance(node.value, int | float) and abs(node.value) > limit
