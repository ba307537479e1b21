"""Tests of functional."""
