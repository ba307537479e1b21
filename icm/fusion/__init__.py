"""Merging maps of several scales."""
