"""The frontend `anthropic`: Anthropic's Messages API for callers, over models of any provider."""
