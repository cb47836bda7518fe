"""Features: what is known of a market at the close of each bar, from bars up to it and none after."""

from foldsmith.features.catalogue import FEATURES, Feature
from foldsmith.features.compute import compute

__all__ = ["FEATURES", "Feature", "compute"]
