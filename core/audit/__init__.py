"""The audit log: who changed what, and who was refused. Every service writes to it; auth serves it."""
