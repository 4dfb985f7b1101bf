"""The codec `anthropic`: canonical chats as requests of Anthropic's Messages API, and its answers."""
