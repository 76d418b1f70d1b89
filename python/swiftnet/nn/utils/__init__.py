"""Clipping of gradients, and parameters as one vector."""
