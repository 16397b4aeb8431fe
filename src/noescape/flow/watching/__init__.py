"""What runs, here or there: status, logs, failures and their mends, results fetched."""
