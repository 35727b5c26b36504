"""The table of families: one row each, which all of ``test_families.py`` runs through."""
