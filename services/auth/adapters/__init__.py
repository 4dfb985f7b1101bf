"""Auth's ports, filled."""
