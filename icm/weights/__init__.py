"""Weights: where they are found, how they are fetched, checked, converted and kept."""
