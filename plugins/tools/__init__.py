"""Tool custody (工具管理): who holds which tool, who answers for it, and what happens when it is gone."""
