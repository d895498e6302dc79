"""Tasks: the records that recurring work leaves to be done, period by period."""
