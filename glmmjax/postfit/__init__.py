"""What follows a fit, in folders by subject; every function takes a ``FittedModel`` and returns plain numbers.

- ``checking/``
- ``inference/``
- ``population/``
- ``prediction/``
- ``refitting/``
- ``uncertainty/``
"""
