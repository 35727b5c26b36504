"""`make test-oldest` installs the oldest versions that pyproject.toml allows, and no others."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_oldest_versions_are_those_that_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["plot"], *extras["parquet"]]
    least = dict(text.split(",")[0].split(">=") for text in declared)
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert set(least) <= set(pinned)
    for name, version in least.items():
        oldest = pinned[name].removesuffix(".*").split(".")
        assert oldest[: len(version.split("."))] == version.split("."), name
        assert all(part == "0" for part in oldest[len(version.split(".")) :]), name


def test_classifiers_begin_at_the_oldest_python():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = [found[1] for text in project["classifiers"] if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text))]
    assert f">={versions[0]}" == project["requires-python"]
