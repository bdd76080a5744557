"""Datasets as other tools see them: a read-only Zarr store over any version or view, and an xarray engine."""
