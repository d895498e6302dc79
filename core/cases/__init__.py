"""The case (工单): one customer's matter from contact to archive."""
