"""What JAX compiles for a fit, and how.

- ``compiler_options``: Compiler options for XLA, by the platform for which a program is compiled
- ``precompile``: Compiling the programs of a first fit side by side: most of its time is compilation
- ``programs``: The jit boundary of a fit from Python: the programs that are compiled, and how
- ``workers``: Compiled programs in threads of their own
"""
