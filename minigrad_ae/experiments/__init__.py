"""Trainings that lessons and claims share: each is run once, and both read its numbers."""
