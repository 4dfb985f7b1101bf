"""The memory of chats, which the rag service keeps."""
