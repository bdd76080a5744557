"""Two writers and a collector whose storage operations take effect, and are answered, in a chosen order."""
