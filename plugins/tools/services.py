"""What other plugins may use of tool custody."""
