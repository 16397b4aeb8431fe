"""The installed `osmo` command, driven."""
