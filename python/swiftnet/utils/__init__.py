"""What surrounds training: data loading."""

from swiftnet.utils import data

__all__ = ["data"]
