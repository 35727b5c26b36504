"""What follows a fit, in folders by subject; every function takes a ``FittedModel`` and returns plain numbers.

- ``arguments``: Checks of arguments that several functions take
- ``uncertainty/``, ``prediction/``, ``checking/``, ``refitting/``, ``inference/``, ``population/``: each imports only those before it
"""
