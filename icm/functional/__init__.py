"""Pure functions of the method, without parameters or state."""
