"""How a compensation is settled: paid, the same tool bought, deducted from pay within the limits."""
