"""The echo driver: a provider inside the process."""
