"""What every Portico service stands on. Knows no service."""
