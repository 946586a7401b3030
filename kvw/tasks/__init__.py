"""Tasks: what ``task=NAME`` runs. One file a task; each task is a function of the config."""
