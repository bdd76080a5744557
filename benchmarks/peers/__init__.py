"""One module per peer; each holds a class ``Adapter``. The peer itself is imported when the adapter is made."""
