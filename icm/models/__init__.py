"""The networks: features of targets and references in, alpha out."""
