"""The phases of an ascent, each as ``init``, ``step`` and its state.

- ``em``: EM steps by the same quadrature as the likelihood, read off its gradient
- ``first_order``: The first-order phase of a fit: EM steps, then quasi-Newton, as one ``init`` and one ``step``
- ``newton``: The second-order phase: Newton steps with the exact Hessian, which end in the certificate of a maximum
- ``quasi_newton``: BFGS for maximisation, one evaluation of the objective a step
"""
