"""Mail: typed mails, their templates, and their delivery by SMTP as durable jobs."""
