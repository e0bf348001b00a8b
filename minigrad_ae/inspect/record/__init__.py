"""See the next commit."""
