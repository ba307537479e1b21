"""How reference and target are matched."""
