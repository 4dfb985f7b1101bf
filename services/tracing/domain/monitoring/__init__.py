"""Inference monitoring: servers of models that are polled for their metrics."""
