"""An opened dataset: its version, its buffered rows, and what reading and changing it mean. No faces here."""
