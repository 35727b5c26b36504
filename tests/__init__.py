"""Tests; a package, so that no other package of this name that is installed is taken for it."""
