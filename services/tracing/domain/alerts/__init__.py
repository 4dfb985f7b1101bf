"""Alert rules, their evaluation, incidents and notifications."""
