"""Memory: stores of short texts that are found again by their meaning."""
