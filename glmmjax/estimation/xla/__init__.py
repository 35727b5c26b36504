"""What JAX compiles for a fit, and how.

- ``compiler_options``: Compiler options for XLA, by the platform for which a program is compiled
- ``executables``: Executables read from the store and written to it, by names that tell all programs apart
- ``forks``: A process that was forked after a fit, in which no program can run
- ``interrupts``: Ctrl-C that is not lost while JAX traces
- ``kept``: Executables in memory; those least recently used are released before the process reaches a limit of the system
- ``news``: What takes the time while nothing moves yet, said to whoever follows a fit and to the logger ``glmmjax``
- ``precompile``: Compiling the programs of a first fit side by side: most of its time is compilation
- ``program``: ``Program``: a jitted function whose executables are compiled, kept and released here, and found on disk in a later process
- ``programs``: The jit boundary of a fit from Python: the programs that are compiled, and how
- ``store``: The folder in which compiled programs outlive the process
- ``surroundings``: Everything around a program that decides what XLA makes of it: our source, the versions, the machine, XLA's flags
- ``tokens``: A text that tells two values apart which JAX would compile into different programs, the same in every process
- ``workers``: Compiled programs in threads of their own
"""
