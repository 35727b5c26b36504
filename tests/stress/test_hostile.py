"""The judge of hostile inputs, and the form of the corpus."""

import ast
import builtins

import pytest

from benchmarks.stress.hostile import command_line, names, saved
from benchmarks.stress.hostile.judge import Input, judged
from benchmarks.stress.hostile.names import MARK, need
from benchmarks.stress.hostile.run import SECTIONS, inputs
from glmmjax.errors import ArgumentError


def refuse():
    raise ArgumentError("no")


NAMES = {"need": need, "MARK": MARK, "refuse": refuse}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_line_of_the_corpus_is_a_wish_and_an_expression(section):
    found = list(inputs(section))
    assert len(found) > 30
    assert {one.want for one in found} <= {"own", "fit", "any", "code"}
    for one in found:
        compile(one.text, "corpus", "eval")


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_the_corpus_uses_no_unknown_name(monkeypatch):
    """A line with such a name fails by itself and tries nothing."""

    def once(key):  # no fit is needed
        return None

    monkeypatch.setattr(names, "once", once)
    known = {*names.names(), *saved.names(), *command_line.names(), *dir(builtins)}
    unknown = {}
    for one in (one for section in SECTIONS for one in inputs(section)):
        nodes = list(ast.walk(ast.parse(one.text, mode="eval")))
        own = {node.arg for node in nodes if isinstance(node, ast.arg)}
        used = [node for node in nodes if isinstance(node, ast.Name)]
        own |= {node.id for node in used if isinstance(node.ctx, ast.Store)}
        if missing := {node.id for node in used} - own - known:
            unknown[one.text] = missing
    assert not unknown


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize(
    ("want", "text", "outcome"),
    [
        ("fit", "3", "fit"),
        ("any", "refuse()", "own"),
        ("fit", "refuse()", "refused"),
        ("own", "3", "wrong"),
        ("any", "need(False, 'no')", "wrong"),
        ("any", "1 / 0", "foreign"),
        ("any", "MARK.touch()", "code"),
        ("code", "MARK.touch()", "fit"),
        ("any", "__import__('time').sleep(60)", "hang"),
    ],
)
def test_the_judge(want, text, outcome):
    assert judged(Input(want, text), dict(NAMES), 1).outcome == outcome
