"""What every lesson shares: its frame, its figures, one plotting style."""
