"""Agents and partners (代理商与合作厂): contracts, notice before service, billing after it, monthly settlement."""
