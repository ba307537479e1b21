"""Training and validation samples."""
