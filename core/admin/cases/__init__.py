"""What the case screens show: lists, the record page, intake, tasks. Views in ``core.admin.screens`` render it."""
