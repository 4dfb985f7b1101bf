"""Documents to Markdown, each in a process of its own with limits on what it may take."""
