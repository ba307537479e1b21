"""Stable Diffusion as a backbone: parts, encoder, U-Net with its taps, features and attention."""
