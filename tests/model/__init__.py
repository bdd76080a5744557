"""Random histories of a dataset, written by two sessions, against a model of a dataset in plain Python."""
