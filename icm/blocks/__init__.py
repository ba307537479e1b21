"""Attention and fusion blocks from the literature, and the shared convolution blocks."""
