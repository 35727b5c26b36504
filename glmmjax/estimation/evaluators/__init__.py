"""Where the log-likelihood is evaluated: the cores of a CPU, a mesh of devices, blocks on disk.

- ``cores``
- ``disk``
- ``mesh``
"""
