"""The codec of OpenAI's format and its dialects: chat completions and embeddings."""
