"""The reader of providers' answers in OpenAI's format and its dialects.

Pure functions and classes over bytes and JSON values: errors, usage, tool calls, event streams, chunks, whole answers.
What leaves here is OpenAI's format as its clients expect it, with whatever else the provider said left in place.
"""
