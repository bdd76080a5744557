"""The faces that users see: they delegate to `zlake.session` and hold no logic of their own."""
