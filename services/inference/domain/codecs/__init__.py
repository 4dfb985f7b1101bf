"""The wire formats of providers, one package each, and what they share: errors, events, headers, scrubbing.

Pure functions and classes over bytes and JSON values. What leaves a codec is OpenAI's format as its clients expect it,
with whatever else the provider said left in place.
"""
