"""``python -m benchmarks``: everything in one run. ``--quick`` takes small problems, some minutes in all."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

from benchmarks.cold import print_cold
from benchmarks.fits import print_fits, print_versions
from benchmarks.libraries import LIBRARIES
from benchmarks.machine import machine, version_of
from benchmarks.timing import RUNS

Options = argparse.Namespace


def _likelihood(options: Options) -> None:
    from benchmarks.likelihood import print_likelihood

    print_likelihood((10_000, 100_000) if options.quick else (10_000, 100_000, 1_000_000))


def _fits(options: Options) -> None:
    print_fits(20_000 if options.quick else 1_000_000, options.library)


def _scaling(options: Options) -> None:
    from benchmarks.scaling import print_scaling

    print_scaling((100_000, 1_000_000) if options.quick else (100_000, 1_000_000, 10_000_000))


def _skewed(options: Options) -> None:
    from benchmarks.skewed import print_skewed

    print_skewed((100_000,) if options.quick else (100_000, 1_000_000))


def _cold(options: Options) -> None:
    print_cold(options.library, 1 if options.quick else RUNS)


def _compilations(_: Options) -> None:
    from benchmarks.compilations import print_compilations

    print_compilations()


def _first_calls(_: Options) -> None:
    from benchmarks.first_calls import print_first_calls

    print_first_calls()


def _long_session(options: Options) -> None:
    from benchmarks.long_session import print_long_session

    print_long_session(60 if options.quick else 300)


def _evaluations(_: Options) -> None:
    from benchmarks.evaluations import print_evaluations

    print_evaluations()


def _optimizers(options: Options) -> None:
    from benchmarks.optimizers import print_optimizers

    print_optimizers((20, 100) if options.quick else (20, 100, 300))


def _precision(options: Options) -> None:
    from benchmarks.precision import print_precision

    print_precision(20_000 if options.quick else 100_000)


def _families(options: Options) -> None:
    from benchmarks.families import print_families

    print_families(3 if options.quick else 1)


def _stream(options: Options) -> None:
    from benchmarks.stream import print_stream

    print_stream(1_000_000 if options.quick else 10_000_000)


def _influence(options: Options) -> None:
    from benchmarks.influence import print_influence

    print_influence(with_r=not options.quick)


def _coverage(options: Options) -> None:
    from benchmarks.coverage import print_coverage

    print_coverage(100 if options.quick else 500)


def _marginal_coefs(options: Options) -> None:
    from benchmarks.marginal_coefs import print_marginal_coefs

    print_marginal_coefs(16_000 if options.quick else 100_000)


def _predictions(options: Options) -> None:
    from benchmarks.predictions import print_predictions

    print_predictions((10_000,) if options.quick else (10_000, 100_000))


def _many(options: Options) -> None:
    from benchmarks.many import print_many

    print_many(2_000 if options.quick else 10_000, 50 if options.quick else 1_000)


def _levels(options: Options) -> None:
    from benchmarks.levels import print_levels

    print_levels(10 if options.quick else 100)


def _crossed(options: Options) -> None:
    from benchmarks.crossed import print_crossed

    print_crossed(options.quick)


def _neural(options: Options) -> None:
    from benchmarks.neural import print_neural

    print_neural(1 if options.quick else 5)


def _gpu(options: Options) -> None:
    from benchmarks.gpu import print_gpu

    print_gpu(options.bandwidth_gbs, options.tflops)


_WITH_PEERS: dict[str, Callable[[Options], None]] = {"fits": _fits, "cold": _cold}
_PARTS: dict[str, Callable[[Options], None]] = {
    "likelihood": _likelihood,
    "fits": _fits,
    "scaling": _scaling,
    "skewed": _skewed,
    "cold": _cold,
    "compilations": _compilations,
    "first_calls": _first_calls,
    "long_session": _long_session,
    "evaluations": _evaluations,
    "optimizers": _optimizers,
    "precision": _precision,
    "families": _families,
    "stream": _stream,
    "predictions": _predictions,
    "marginal_coefs": _marginal_coefs,
    "influence": _influence,
    "coverage": _coverage,
    "many": _many,
    "levels": _levels,
    "crossed": _crossed,
    "neural": _neural,
    "gpu": _gpu,
}


def main() -> None:
    """Print the machine, the versions, then each part."""
    options = _options()
    print(machine())
    print(f"jax {version_of('jax') or 'not installed'}, numpy {version_of('numpy')}, pandas {version_of('pandas')}")
    print_versions()
    print("medians of five after a warm-up; a fit that takes longer than 20 s is timed once", flush=True)
    has_glmmjax = "glmmjax" in options.library and importlib.util.find_spec("jax") is not None
    for part in options.part:
        if has_glmmjax or part in _WITH_PEERS:
            _PARTS[part](options)


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small problems only, cold starts once")
    parser.add_argument("--part", choices=list(_PARTS), action="append", help="one part only; may be given again")
    parser.add_argument("--library", choices=list(LIBRARIES), action="append", help="one library only; may be given again")
    gpu = parser.add_argument_group("figures of an accelerator, for --part gpu")
    gpu.add_argument("--bandwidth-gbs", type=float, default=3350.0, help="memory bandwidth in GB/s (default: an H100)")
    gpu.add_argument("--tflops", type=float, default=33.5, help="float64 arithmetic in TFLOP/s (default: an H100)")
    options = parser.parse_args()
    options.part, options.library = options.part or list(_PARTS), options.library or list(LIBRARIES)
    return options


if __name__ == "__main__":
    main()
