"""Tests of the evaluation; a package, so that names may repeat elsewhere."""
