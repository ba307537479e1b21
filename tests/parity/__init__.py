"""Parity with the numbers of the published code; a package, so that names may repeat."""
