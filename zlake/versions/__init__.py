"""Versions: refs, staging, the commit protocol, rebase, history, verification. Knows neither htypes nor samples."""
