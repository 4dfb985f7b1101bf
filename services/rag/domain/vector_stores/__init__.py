"""OpenAI's vector stores, over modules and their documents."""
