"""The local engine: a workflow's tasks as processes of this machine, with all state on disk."""
