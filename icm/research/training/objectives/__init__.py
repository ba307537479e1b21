"""What is trained for: one module for each objective."""
