"""Proto to domain and back. Pure."""
