"""Extent maps, their edits, read plans and row selections: pure NumPy functions that know of no storage."""
