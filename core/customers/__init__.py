"""Customers, their contacts, phones and addresses."""
