"""glmmjax against its peers, on the machine at hand: ``python -m benchmarks``. Not part of the installed package."""
