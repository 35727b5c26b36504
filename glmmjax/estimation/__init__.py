"""Maximising the marginal likelihood, and saying whether that has been done.

``starting_values``, then ``first_order`` (``em`` and ``quasi_newton`` steps on one evaluation), then ``newton``; ``convergence``
judges. ``driver`` runs them from Python, ``fit`` is the same as one pure function.
"""
