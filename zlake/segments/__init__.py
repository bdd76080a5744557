"""Immutable segments: how rows become Zarr arrays, and how they are read back."""
