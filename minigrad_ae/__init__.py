"""Autoencoders from scratch in NumPy: gradients that explain themselves, models checked against exact answers."""

__version__ = "0.1.0"
