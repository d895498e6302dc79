"""Monthly losses and wear (R35-4.9), and what they propose to buy."""
