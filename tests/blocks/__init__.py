"""Tests of the blocks: contracts over all of them, and for each its formula and a mutant."""
