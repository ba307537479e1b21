"""From fused features to alpha at the input size."""
