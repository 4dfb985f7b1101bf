"""Operations on whole tenants, beside the running services: suspend, back up, restore, move, erase."""
