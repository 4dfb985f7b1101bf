"""The trace store on SQLite: a file for each tenant, beside that of its documents."""
