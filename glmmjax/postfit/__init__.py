"""Computations that follow a fit, in folders by subject. Functions take a ``FittedModel`` and return plain numbers.

- ``arguments``: Checks of arguments that several functions take
- ``uncertainty/``, ``prediction/``, ``checking/``, ``refitting/``, ``inference/``, ``population/``: each imports only those before it
"""
