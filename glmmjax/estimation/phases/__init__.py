"""The phases of an ascent. ``first_order`` and ``newton`` have one shape: ``init``, ``step``, a state, and ``Info``.

- ``em``: EM steps by the same quadrature as the likelihood, read off its gradient
- ``first_order``: The first-order phase of a fit: EM steps, then quasi-Newton, as one ``init`` and one ``step``
- ``limited_memory``: L-BFGS for models with many fixed effects, by optax
- ``newton``: The second-order phase: Newton steps with the exact Hessian, which end in the certificate of a maximum
- ``phase``: What the phases of an ascent have in common, and the compiled loop that runs any of them
- ``quasi_newton``: BFGS for maximisation, one evaluation of the objective a step
"""
