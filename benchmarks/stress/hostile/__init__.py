"""Hostile inputs: every one ends in an answer or in an error of our own; never in a foreign traceback, a wrong answer, a hang, or code run.

``corpus/`` holds one input a line, under what is wanted of it, a tab, and an expression in the names of ``names``, ``saved`` and
``command_line``: ``own`` is to be refused, ``fit`` is to work, ``any`` is either, ``code`` may run what is in it.

- ``names``: data, fits and comparisons that the expressions use
- ``saved``: saved fits that were tampered with
- ``command_line``: the command line in a process of its own
- ``texts``: formulas made at random
- ``judge``: what becomes of one input
- ``run``: all of them, each section in a process of its own, and the table
"""
