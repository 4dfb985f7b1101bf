"""Attacks on a running suite, and what a second tenant and the machine's memory notice of them."""
