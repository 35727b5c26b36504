"""What is compiled, and how.

- ``compiler_options``: What XLA is asked for when a program is compiled, by the platform that it is compiled for
- ``precompile``: Compiling the programs of a first fit side by side: most of its time is compilation
- ``programs``: The jit boundary of a fit from Python: the programs that are compiled, and how
- ``workers``: Compiled programs in threads of their own
"""
