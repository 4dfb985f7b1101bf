"""What one tenant's most expensive requests do to the others, and to the memory of the suite."""
